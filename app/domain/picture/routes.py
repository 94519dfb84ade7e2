"""Which way each arrow takes through the grid, and the choices that are left open: docks, tracks, label places.

An arrow runs straight between neighbours, along a free lower row, or over a track in one of three channels
(above both rows, between them, below them). Pure geometry: it knows nothing of SVG.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from itertools import pairwise

from app.domain.picture.grid import Arrow, Cell

BOX_WIDTH, BOX_HEIGHT = 104.0, 46.0
MARGIN, START = 18.0, 34.0  # around everything; to the left for the dot that marks the initial state
CHARACTER, LINE, PAD = 8.4, 16.0, 12.0  # of a label: a monospaced character, a line, left and right together
STUB, RISE, GAP = 17.0, 22.0, 104.0  # least straight run of an arrow: along, up or down; least gap of columns
SLACK, PILE = 9.0, 4.0  # between tracks; between the labels of one arrow
LEAST_SLOTS, DOCK_WIDTH = 5, 84.0  # the places at the upper or lower edge of a box where arrows dock
PLACES = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)  # of a label along its arrow's longest run

Point = tuple[float, float]
Dock = tuple[str, int]  # a state, and the channel that its edge faces
Key = tuple[Arrow, int]  # an arrow's first (0) or last (1) dock


class Course(Enum):
    ACROSS = auto()  # straight to the neighbour in the row
    DOWN = auto()  # straight to the neighbour in the column
    SIDE = auto()  # along the free lower row, then up (or down and along)
    TRACK = auto()  # over a track of a channel; a loop does so too


@dataclass(frozen=True)
class Rect:
    """A box, a label or a run of a line; x and y are its middle."""

    x: float
    y: float
    width: float
    height: float

    def meets(self, other: "Rect", distance: float = 0.0) -> bool:
        """Whether the two come nearer to each other than `distance`; to share an edge is not to meet."""
        reach = 2 * distance - 1e-6
        return (
            abs(self.x - other.x) * 2 < self.width + other.width + reach
            and abs(self.y - other.y) * 2 < self.height + other.height + reach
        )


def pill_lines(trigger: str, narrow: bool) -> tuple[str, ...]:
    """Break a long trigger in two at the underscore nearest its middle, where room is scarce."""
    breaks = [i + 1 for i, letter in enumerate(trigger) if letter == "_"]
    if not narrow or not breaks or len(trigger) <= 10:
        return (trigger,)
    at = min(breaks, key=lambda i: abs(i - len(trigger) / 2))
    return (trigger[:at], trigger[at:])


def pill_size(lines: Sequence[str]) -> tuple[float, float]:
    return max(map(len, lines)) * CHARACTER + PAD, len(lines) * LINE + 7


@dataclass(frozen=True)
class Routes:
    """What is settled by the grid alone."""

    arrows: tuple[Arrow, ...]
    cells: Mapping[str, Cell]

    @cached_property
    def courses(self) -> dict[Arrow, Course]:
        courses: dict[Arrow, Course] = {}
        straight: set[frozenset[str]] = set()
        for arrow in self.arrows:
            (c1, r1), (c2, r2) = self.cells[arrow.source], self.cells[arrow.target]
            courses[arrow] = Course.TRACK
            if r1 != r2 and c1 == c2:
                courses[arrow] = Course.DOWN
            elif r1 == r2 and abs(c1 - c2) == 1 and frozenset((arrow.source, arrow.target)) not in straight:
                courses[arrow] = Course.ACROSS
                straight.add(frozenset((arrow.source, arrow.target)))
        for arrow in self._along_the_lower_row(courses):
            courses[arrow] = Course.SIDE
        return courses

    def _along_the_lower_row(self, courses: Mapping[Arrow, Course]) -> list[Arrow]:
        """The arrows with the longest run to each side of a lower box, where no other box is in the way."""
        longest: dict[tuple[str, bool], tuple[int, Arrow]] = {}
        below = {column for column, row in self.cells.values() if row == 1}
        for arrow in (a for a, course in courses.items() if course is Course.TRACK):
            low, high = self.ends(arrow)
            (c1, r1), (c2, r2) = self.cells[low], self.cells[high]
            if r1 == r2 or any(c in below for c in range(min(c1, c2), max(c1, c2) + 1) if c != c1):
                continue
            side = (low, c2 > c1)
            longest[side] = max(longest.get(side, (0, arrow)), (abs(c1 - c2), arrow), key=lambda pair: pair[0])
        return [arrow for length, arrow in longest.values() if length > 1]

    def ends(self, arrow: Arrow) -> tuple[str, str]:
        """The lower and the upper of an arrow's two states."""
        pair = (arrow.source, arrow.target)
        return pair if self.cells[pair[0]][1] == 1 else (pair[1], pair[0])

    def channel(self, arrow: Arrow) -> int:
        r1, r2 = self.cells[arrow.source][1], self.cells[arrow.target][1]
        return 1 if r1 != r2 else 2 * r1

    @cached_property
    def docks(self) -> dict[Key, tuple[Dock, ...]]:
        """The docks that are chosen together by one key."""
        docks: dict[Key, tuple[Dock, ...]] = {}
        for arrow, course in self.courses.items():
            channel = self.channel(arrow)
            if course is Course.DOWN:
                docks[arrow, 0] = ((arrow.source, channel), (arrow.target, channel))
            elif course is Course.TRACK:
                docks[arrow, 0], docks[arrow, 1] = ((arrow.source, channel),), ((arrow.target, channel),)
            elif course is Course.SIDE:
                docks[arrow, 0] = ((self.ends(arrow)[1], channel),)
        return docks

    def pills(self, arrow: Arrow) -> tuple[tuple[str, ...], ...]:
        narrow = self.courses[arrow] is Course.ACROSS
        return tuple(pill_lines(row.trigger, narrow) for row in arrow.triggers)

    def label_size(self, arrow: Arrow) -> tuple[float, float]:
        sizes = [pill_size(lines) for lines in self.pills(arrow)]
        return max(w for w, _ in sizes), sum(h for _, h in sizes) + PILE * (len(sizes) - 1)

    @cached_property
    def columns(self) -> list[float]:
        """The middle of each column: a gap is as wide as the labels in it need."""
        count = 1 + max(column for column, _ in self.cells.values())
        gaps = [GAP] * (count - 1)
        for arrow, course in self.courses.items():
            if course is Course.ACROSS:
                gap = min(self.cells[arrow.source][0], self.cells[arrow.target][0])
                gaps[gap] = max(gaps[gap], self.label_size(arrow)[0] + 2 * STUB)
        middles = [MARGIN + START + BOX_WIDTH / 2]
        for gap_width in gaps:
            middles.append(middles[-1] + BOX_WIDTH + gap_width)
        return middles

    @cached_property
    def slots(self) -> int:
        """How many places a dock has: an odd number, enough for the busiest."""
        busy: dict[Dock, int] = {}
        for dock in (dock for docks in self.docks.values() for dock in docks):
            busy[dock] = busy.get(dock, 0) + 1
        return max(LEAST_SLOTS, *(count | 1 for count in busy.values()))

    def x(self, state: str, slot: int | None = None) -> float:
        """The middle of a state's box, or the place of one of its slots (from 0, the leftmost)."""
        middle = self.columns[self.cells[state][0]]
        return middle if slot is None else middle + (slot / (self.slots - 1) - 0.5) * DOCK_WIDTH


def segments(points: Sequence[Point]) -> list[Rect]:
    """The runs of a polyline, each as a rectangle without thickness."""
    return [Rect((x1 + x2) / 2, (y1 + y2) / 2, abs(x1 - x2), abs(y1 - y2)) for (x1, y1), (x2, y2) in pairwise(points)]
