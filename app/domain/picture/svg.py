"""The state machine as one SVG: no script, nothing loaded from elsewhere, readable in light and dark.

Meant for an <img>, a README or a page; its rules are scoped to its own root element.
"""

from collections.abc import Sequence
from functools import cache
from math import hypot
from xml.sax.saxutils import escape

from app.domain.picture.grid import Arrow, merge, place
from app.domain.picture.layout import FOOT, Layout, lay_out
from app.domain.picture.routes import LINE, MARGIN, PILE, Point, Rect, Routes, pill_size
from app.domain.picture.style import STYLE, tone
from app.domain.transitions import ENDS_OF_RUN, INITIAL, TABLE, BatchState, Kind

LEGEND = {
    Kind.ACTION: "action: a caller asks for it",
    Kind.EVENT: "event: the service raises it",
    "work": "workers are given tasks",
}
HEAD_LENGTH, HEAD_WIDTH, BEND, ROUND = 10.0, 9.0, 10.0, 11.0


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _toward(start: Point, end: Point, distance: float) -> Point:
    """The point `distance` from `start` on the way to `end`."""
    length = hypot(end[0] - start[0], end[1] - start[1])
    share = min(distance / length, 0.5) if length else 0.0
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _path(line: Sequence[Point]) -> str:
    """A polyline with round bends, that stops where the head of the arrow begins."""
    stop = _toward(line[-1], line[-2], HEAD_LENGTH - 2)
    points = [*line[:-1], stop]
    steps = [f"M{_number(points[0][0])} {_number(points[0][1])}"]
    for before, bend, after in zip(points, points[1:], points[2:], strict=False):
        into, out = _toward(bend, before, BEND), _toward(bend, after, BEND)
        steps.append(f"L{_number(into[0])} {_number(into[1])}")
        steps.append(f"Q{_number(bend[0])} {_number(bend[1])} {_number(out[0])} {_number(out[1])}")
    steps.append(f"L{_number(stop[0])} {_number(stop[1])}")
    return "".join(steps)


def _arrow(line: Sequence[Point], label: str, css: str) -> str:
    """A line with its head, named for those who hear the picture or point at it."""
    (x1, y1), (x2, y2) = line[-2:]
    length = hypot(x2 - x1, y2 - y1)
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    back, half = (x2 - ux * HEAD_LENGTH, y2 - uy * HEAD_LENGTH), HEAD_WIDTH / 2
    corners = ((x2, y2), (back[0] - uy * half, back[1] + ux * half), (back[0] + uy * half, back[1] - ux * half))
    head = " ".join(f"{_number(x)},{_number(y)}" for x, y in corners)
    return (
        f'<g class="{css}"><title>{escape(label)}</title><path class="line" d="{_path(line)}"/>'
        f'<polygon class="head" points="{head}"/></g>'
    )


def _rect(rect: Rect, css: str) -> str:
    round_by = min(ROUND, rect.height / 3)
    return (
        f'<rect class="{css}" x="{_number(rect.x - rect.width / 2)}" y="{_number(rect.y - rect.height / 2)}" '
        f'width="{_number(rect.width)}" height="{_number(rect.height)}" rx="{_number(round_by)}"/>'
    )


def _pill(frame: Rect, lines: Sequence[str], kind: str) -> str:
    """A label: a button for an action, a dashed slip for an event."""
    first = frame.y - (len(lines) - 1) * LINE / 2
    rows = (
        f'<tspan x="{_number(frame.x)}" y="{_number(first + i * LINE)}">{escape(part)}</tspan>'
        for i, part in enumerate(lines)
    )
    return _rect(frame, f"pill {kind}") + f'<text class="{kind}">{"".join(rows)}</text>'


def _labels(routes: Routes, layout: Layout, arrow: Arrow) -> str:
    label = layout.labels[arrow]
    parts = [_rect(label, "back")]  # so that the line is not seen between piled labels
    top = label.y - label.height / 2
    for row, lines in zip(arrow.triggers, routes.pills(arrow), strict=True):
        height = pill_size(lines)[1]
        frame = Rect(label.x, top + height / 2, label.width, height)
        parts.append(_pill(frame, lines, row.kind))
        top += height + PILE
    return "".join(parts)


def _state(layout: Layout, state: BatchState, current: bool) -> str:
    box = layout.boxes[state]
    css = f"state {tone(state)}{' current' if current else ''}"
    text = f'<text x="{_number(box.x)}" y="{_number(box.y)}">{escape(state)}</text>'
    return f'<g class="{css}">{_rect(box, "box")}{text}</g>'


def _start(layout: Layout) -> str:
    box = layout.boxes[INITIAL]
    dot, left = MARGIN + 8, box.x - box.width / 2
    line = ((dot, box.y), (left, box.y))
    circle = f'<circle class="start" cx="{_number(dot)}" cy="{_number(box.y)}" r="6"/>'
    return circle + _arrow(line, f"a new batch is {INITIAL}", "begin")


def _legend(layout: Layout) -> str:
    x, y, parts = MARGIN, layout.height - FOOT / 2 + 5, []
    for sign, text in LEGEND.items():
        if sign in tuple(Kind):
            parts.append(_arrow(((x, y), (x + 38, y)), text, sign))
        else:
            parts.append(f'<g class="{sign}">{_rect(Rect(x + 24, y, 28, 16), "box")}</g>')
        parts.append(f'<text x="{_number(x + 47)}" y="{_number(y)}">{text}</text>')
        x += 47 + len(text) * 7.8 + 30
    return f'<g class="legend">{"".join(parts)}</g>'


def _description() -> str:
    ways = (f"{row.trigger} ({row.kind}): {' or '.join(row.sources)} to {row.target}" for row in TABLE)
    return f"{len(BatchState)} states; a new batch is {INITIAL}. {'; '.join(ways)}."


@cache
def _plan() -> tuple[Routes, Layout]:
    arrows = merge(TABLE)
    routes = Routes(arrows, place(arrows, INITIAL, ENDS_OF_RUN))
    return routes, lay_out(routes)


def as_svg(current: str | None = None, visited: Sequence[tuple[str, str]] = ()) -> str:
    """Draw the table; mark the state `current` and the arrows of the way gone, `visited` (pairs of states).

    Raises ValueError for a `current` that is no state. Pairs without an arrow (edits, the creation) mark nothing.
    """
    here = None if current is None else BatchState(current)
    routes, layout = _plan()
    gone = set(visited)
    width, height = _number(layout.width), _number(layout.height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="il" role="img" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" aria-labelledby="il-title il-desc">',
        '<title id="il-title">The states of a batch</title>',
        f'<desc id="il-desc">{escape(_description())}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="card" x=".5" y=".5" width="{_number(layout.width - 1)}" '
        f'height="{_number(layout.height - 1)}" rx="14"/>',
        _start(layout),
    ]
    for arrow in sorted(routes.arrows, key=lambda arrow: (arrow.source, arrow.target) in gone):
        kind = min(row.kind for row in arrow.triggers)  # an action among them makes the arrow an action's
        way = " visited" if (arrow.source, arrow.target) in gone else ""
        names = ", ".join(row.trigger for row in arrow.triggers)
        parts.append(_arrow(layout.lines[arrow], f"{arrow.source} to {arrow.target}: {names}", kind + way))
    parts += [_state(layout, state, state is here) for state in BatchState]
    parts += [_labels(routes, layout, arrow) for arrow in routes.arrows]
    parts += [_legend(layout), "</svg>"]
    return "\n".join(parts) + "\n"
