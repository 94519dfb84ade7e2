"""Where two answers differ, word by word, for people who compare the answers of two models.

The shortest way from one text to the other is found as Myers describes ("An O(ND) Difference Algorithm"). Its work
grows with the length of the texts times the number of edits, and both are bounded, however the texts repeat themselves.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

MOST_WORDS = 2_000  # of an answer
MOST_EDITS = 1_000  # words that only one text has; beyond that the texts are too different to compare
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


class In(StrEnum):
    """Which of the two texts has a piece."""

    BOTH = "both"
    FIRST = "first"
    SECOND = "second"


class Piece(NamedTuple):
    where: In
    text: str


def differences(first: str, second: str, most_edits: int = MOST_EDITS) -> list[Piece] | None:
    """Split two texts into pieces that both have and pieces that only one has.

    None if a text is too long, or if more than `most_edits` words differ: the texts are too different to compare.
    """
    one, other = _WORD.findall(first), _WORD.findall(second)
    if max(len(one), len(other)) > MOST_WORDS:
        return None
    way = _shortest_way(one, other, most_edits)
    return None if way is None else list(_pieces(one, other, way))


def _shortest_way(one: list[str], other: list[str], most_edits: int) -> list[tuple[int, int]] | None:
    """Find the places, as (words of one, words of other), between which one word is left out, added or shared.

    `reached[k]` is how many words of `one` are behind the farthest place with k words more of `one` than of `other`.
    """
    reached = {1: 0}
    history: list[dict[int, int]] = []
    for edits in range(min(most_edits, len(one) + len(other)) + 1):
        now: dict[int, int] = {}
        for k in range(-edits, edits + 1, 2):
            x = reached[k + 1] if _adds(reached, k, edits) else reached[k - 1] + 1
            while x < len(one) and x - k < len(other) and one[x] == other[x - k]:
                x += 1
            now[k] = x
            if x >= len(one) and x - k >= len(other):
                return _traced(history, len(one), len(other))
        history.append(now)
        reached = now
    return None


def _adds(reached: dict[int, int], k: int, edits: int) -> bool:
    """Whether the better edit onto diagonal k adds a word of the other text; else it leaves out one of the first."""
    return k == -edits or (k != edits and reached[k - 1] < reached[k + 1])


def _traced(history: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    """Follow the way back from its end."""
    way = [(x, y)]
    for edits in range(len(history), 0, -1):
        k, reached = x - y, history[edits - 1]
        adds = _adds(reached, k, edits)
        before = k + 1 if adds else k - 1
        start = reached[before], reached[before] - before
        begun = (start[0], start[1] + 1) if adds else (start[0] + 1, start[1])
        way += _shared(begun, (x, y))
        way.append(start)
        x, y = start
    way += _shared((0, 0), (x, y))
    return way[::-1]


def _shared(begun: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """List the places of a diagonal before its end, from the last to the first."""
    return [(end[0] - back, end[1] - back) for back in range(1, end[0] - begun[0] + 1)]


def _pieces(one: list[str], other: list[str], way: list[tuple[int, int]]) -> Iterator[Piece]:
    """Join the words between the places to pieces; of two that differ, the one of the first text comes first."""
    texts = {In.BOTH: "", In.FIRST: "", In.SECOND: ""}
    for (x, y), (next_x, next_y) in pairwise(way):
        is_shared = next_x > x and next_y > y
        if bool(texts[In.BOTH]) != is_shared:
            yield from _taken(texts)
        where = In.BOTH if is_shared else In.FIRST if next_x > x else In.SECOND
        texts[where] += other[y] if where is In.SECOND else one[x]
    yield from _taken(texts)


def _taken(texts: dict[In, str]) -> Iterator[Piece]:
    for where in In:
        if texts[where]:
            yield Piece(where, texts[where])
            texts[where] = ""
