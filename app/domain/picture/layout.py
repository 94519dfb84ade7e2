"""The settled picture: boxes, lines and labels with their coordinates, found by trying small changes.

Slots, the order of tracks and the places of labels start from a plain guess; each change that makes the
picture better (fewer labels that touch anything, fewer crossings, shorter lines) is kept until none is left.
The search has no chance in it: the same table always gives the same picture.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

from app.domain.picture.grid import Arrow
from app.domain.picture.routes import (
    BOX_HEIGHT,
    BOX_WIDTH,
    MARGIN,
    PLACES,
    RISE,
    SLACK,
    STUB,
    Course,
    Key,
    Point,
    Rect,
    Routes,
    segments,
)

FOOT = 54.0  # for the legend, below everything
CHANNELS = (0, 1, 2)
TOUCH, CROSS, TIGHT = 100.0, 10.0, 20.0  # what a flaw costs: a touched label, a crossing, a label without room


@dataclass(frozen=True)
class Choice:
    """What the search may change."""

    slots: Mapping[Key, int]
    order: tuple[Arrow, ...]  # of the tracks: earlier ones lie nearer to the upper row
    places: Mapping[Arrow, int]


@dataclass(frozen=True)
class Layout:
    """Coordinates of everything; the lines run from source to target."""

    width: float
    height: float
    boxes: Mapping[str, Rect]
    lines: Mapping[Arrow, tuple[Point, ...]]
    labels: Mapping[Arrow, Rect]

    def flaws(self, runs: Sequence[tuple[Arrow, Rect]] = ()) -> int:
        """Count the labels that touch a line of another arrow, another label or a box."""
        things = [*(runs or self.runs()), *self.labels.items()]
        return sum(
            sum(label.meets(thing, 4.0) for other, thing in things if other is not arrow)
            + sum(label.meets(box, 4.0) for box in self.boxes.values())
            for arrow, label in self.labels.items()
        )

    def runs(self) -> list[tuple[Arrow, Rect]]:
        """The straight runs of all lines, each a rectangle without thickness."""
        return [(arrow, run) for arrow, line in self.lines.items() for run in segments(line)]

    def cost(self) -> float:
        runs = self.runs()
        cost = TOUCH * self.flaws(runs) + sum(run.width + run.height for _, run in runs) / 100
        for (arrow, run), (other, crossed) in combinations(runs, 2):
            if arrow is not other and run.meets(crossed, 4.0):
                cost += CROSS if run.meets(crossed) else TOUCH  # TOUCH: they nearly lie on each other
        for arrow, label in self.labels.items():
            lengths = [run.width for owner, run in runs if owner is arrow and run.width]
            if lengths and arrow.source != arrow.target:
                cost += TIGHT * (max(lengths) < label.width + STUB / 2)
        return cost


def _levels(routes: Routes, choice: Choice, channel: int) -> dict[Arrow, int]:
    """The level of each track in a channel: tracks above one another where they overlap."""
    levels: dict[Arrow, int] = {}
    spans: dict[Arrow, Rect] = {}
    for arrow in choice.order:
        if routes.courses[arrow] is not Course.TRACK or routes.channel(arrow) != channel:
            continue
        x1, x2 = _dock_xs(routes, choice, arrow)
        width = max(abs(x1 - x2) + SLACK, routes.label_size(arrow)[0])
        spans[arrow] = Rect((x1 + x2) / 2, 0, width, 1)
        levels[arrow] = max((levels[a] + 1 for a in levels if spans[a].meets(spans[arrow], SLACK)), default=0)
    return levels


def _dock_xs(routes: Routes, choice: Choice, arrow: Arrow) -> tuple[float, float]:
    first = routes.x(arrow.source, choice.slots[arrow, 0])
    return first, routes.x(arrow.target, choice.slots[arrow, 1])


def settle(routes: Routes, choice: Choice) -> Layout:
    """Compute all coordinates that follow from a choice."""
    tracks: dict[Arrow, float] = {}  # how far each track lies from the upper edge of its channel
    heights: list[float] = []
    for channel in CHANNELS:
        levels = _levels(routes, choice, channel)
        offset = RISE if channel else 0.0
        for level in sorted(set(levels.values()), reverse=channel == 0):
            here = [arrow for arrow in levels if levels[arrow] == level]
            thickness = max(routes.label_size(arrow)[1] for arrow in here)
            tracks |= dict.fromkeys(here, offset + thickness / 2)
            offset += thickness + SLACK
        down = [a for a, c in routes.courses.items() if c is Course.DOWN and routes.channel(a) == channel]
        least = max((routes.label_size(a)[1] + 3 * STUB for a in down), default=0.0)
        heights.append(max(offset - SLACK + RISE * (channel < 2), least) if levels else least)
    tops = [MARGIN, MARGIN + heights[0] + BOX_HEIGHT, MARGIN + heights[0] + heights[1] + 2 * BOX_HEIGHT]
    boxes = {
        state: Rect(routes.x(state), tops[row + 1] - BOX_HEIGHT / 2, BOX_WIDTH, BOX_HEIGHT)
        for state, (_, row) in routes.cells.items()
    }
    lines = {arrow: _line(routes, choice, arrow, boxes, tops, tracks.get(arrow, 0.0)) for arrow in routes.arrows}
    labels = {arrow: _label(routes, choice, arrow, lines[arrow]) for arrow in routes.arrows}
    width = routes.columns[-1] + BOX_WIDTH / 2 + MARGIN
    return Layout(width, tops[2] + heights[2] + FOOT, boxes, lines, labels)


def _line(
    routes: Routes,
    choice: Choice,
    arrow: Arrow,
    boxes: Mapping[str, Rect],
    tops: list[float],
    track: float,
) -> tuple[Point, ...]:
    source, target = boxes[arrow.source], boxes[arrow.target]
    course = routes.courses[arrow]
    if course is Course.ACROSS:
        half = BOX_WIDTH / 2 if target.x > source.x else -BOX_WIDTH / 2
        return (source.x + half, source.y), (target.x - half, target.y)
    if course is Course.DOWN:
        x = routes.x(arrow.source, choice.slots[arrow, 0])
        half = BOX_HEIGHT / 2 if target.y > source.y else -BOX_HEIGHT / 2
        return (x, source.y + half), (x, target.y - half)
    if course is Course.SIDE:
        low, high = (boxes[state] for state in routes.ends(arrow))
        x = routes.x(routes.ends(arrow)[1], choice.slots[arrow, 0])
        side = low.x + (BOX_WIDTH / 2 if high.x > low.x else -BOX_WIDTH / 2)
        line = (side, low.y), (x, low.y), (x, high.y + BOX_HEIGHT / 2)
        return line if source is low else line[::-1]
    x1, x2 = _dock_xs(routes, choice, arrow)
    y = tops[routes.channel(arrow)] + track
    edges = [box.y + (BOX_HEIGHT / 2 if box.y < y else -BOX_HEIGHT / 2) for box in (source, target)]
    return (x1, edges[0]), (x1, y), (x2, y), (x2, edges[1])


def _label(routes: Routes, choice: Choice, arrow: Arrow, line: tuple[Point, ...]) -> Rect:
    """Lay a label over the longest run of its line; over the run along, where there is one."""
    across = [(a, b) for a, b in pairwise(line) if a[1] == b[1]]
    (x1, y1), (x2, y2) = max(across or pairwise(line), key=lambda run: abs(run[0][0] - run[1][0]))
    place = PLACES[choice.places[arrow]]
    return Rect(x1 + (x2 - x1) * place, y1 + (y2 - y1) * place, *routes.label_size(arrow))


def _guess(routes: Routes) -> Choice:
    """Begin with docks in the order of the table and short tracks nearest to the boxes."""
    taken: dict[tuple[str, int], set[int]] = {}
    slots: dict[Key, int] = {}
    for key, docks in sorted(routes.docks.items(), key=lambda item: -len(item[1])):
        middle = routes.slots // 2
        free = (s for s in range(routes.slots) if all(s not in taken.get(dock, ()) for dock in docks))
        slots[key] = min(free, key=lambda slot: abs(slot - middle))
        for dock in docks:
            taken.setdefault(dock, set()).add(slots[key])
    order = sorted(routes.arrows, key=lambda a: abs(routes.x(a.source) - routes.x(a.target)))
    return Choice(slots, tuple(order), dict.fromkeys(routes.arrows, 0))


def _changes(routes: Routes, choice: Choice) -> Iterator[Choice]:
    """All choices that are one small change away."""
    for key, docks in routes.docks.items():
        for slot in range(routes.slots):
            others = [k for k, d in routes.docks.items() if choice.slots[k] == slot and set(d) & set(docks)]
            moved = {**choice.slots, **dict.fromkeys(others, choice.slots[key]), key: slot}
            places = [(dock, moved[k]) for k, d in routes.docks.items() for dock in d]
            if slot != choice.slots[key] and len(set(places)) == len(places):
                yield replace(choice, slots=moved)
    tracks = [i for i, arrow in enumerate(choice.order) if routes.courses[arrow] is Course.TRACK]
    for i, j in combinations(tracks, 2):
        order = list(choice.order)
        order[i], order[j] = order[j], order[i]
        if routes.channel(order[i]) == routes.channel(order[j]):
            yield replace(choice, order=tuple(order))
    for arrow in routes.arrows:
        for place in range(len(PLACES)):
            if place != choice.places[arrow]:
                yield replace(choice, places={**choice.places, arrow: place})


def _price(routes: Routes, choice: Choice) -> float:
    slipped = sum(choice.places.values()) * 0.4
    off_middle = sum(abs(slot - routes.slots // 2) for slot in choice.slots.values()) * 0.1
    return settle(routes, choice).cost() + slipped + off_middle


def lay_out(routes: Routes) -> Layout:
    """Find a picture that no small change makes better."""
    choice = _guess(routes)
    price = _price(routes, choice)
    improved = True
    while improved:
        improved = False
        for change in _changes(routes, choice):
            if (changed := _price(routes, change)) < price - 1e-9:
                choice, price, improved = change, changed, True
                break
    return settle(routes, choice)
