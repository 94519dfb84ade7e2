"""Where each state stands in the picture: the ordinary life in one row, the other states in a row below.

Pure: rows of a transition table in, cells out. It knows no state by name.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from app.domain.transitions import Transition

Cell = tuple[int, int]  # column, row; row 0 is the upper one of two


@dataclass(frozen=True)
class Arrow:
    """All the triggers that lead from one state to another: they share an arrow."""

    source: str
    target: str
    triggers: tuple[Transition, ...]


def merge(table: Iterable[Transition]) -> tuple[Arrow, ...]:
    """List the arrows of a table in its order, one for each pair of states."""
    pairs: dict[tuple[str, str], list[Transition]] = {}
    for row in table:
        for source in row.sources:
            pairs.setdefault((source, row.target), []).append(row)
    return tuple(Arrow(source, target, tuple(rows)) for (source, target), rows in pairs.items())


def _shortest_ways(arrows: Sequence[Arrow], initial: str) -> dict[str, tuple[str, ...]]:
    ways: dict[str, tuple[str, ...]] = {initial: (initial,)}
    waiting = deque([initial])
    while waiting:
        state = waiting.popleft()
        for arrow in arrows:
            if arrow.source == state and arrow.target not in ways:
                ways[arrow.target] = (*ways[state], arrow.target)
                waiting.append(arrow.target)
    return ways


def place(arrows: Sequence[Arrow], initial: str, ends: Collection[str]) -> dict[str, Cell]:
    """Give each state its cell: the way to the farthest of `ends` above, each other state below its sources."""
    ways = _shortest_ways(arrows, initial)
    spine = max((ways[end] for end in ends), key=len)
    cells: dict[str, Cell] = {state: (column, 0) for column, state in enumerate(spine)}
    sources = {s: [a.source for a in arrows if a.target == s and a.source != s] for s in ways if s not in cells}
    for state in sorted(sources, key=lambda s: len(sources[s])):  # who has one source stands right below it
        placed = [cells[source][0] for source in sources[state] if source in cells] or [0]
        wish = sum(placed) / len(placed)
        taken = {column for column, row in cells.values() if row == 1}
        free = (column for column in range(len(ways)) if column not in taken)
        cells[state] = (min(free, key=lambda column: abs(column - wish)), 1)
    return cells
