"""Where two answers differ, word by word: for people who compare what two models said. Pure text in, pieces out."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from enum import StrEnum
from typing import NamedTuple

MOST_WORDS = 2_000  # of an answer: the search takes the product of both
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


class In(StrEnum):
    """In which of the two a piece stands."""

    BOTH = "both"
    FIRST = "first"
    SECOND = "second"


class Piece(NamedTuple):
    where: In
    text: str


def differences(first: str, second: str) -> list[Piece] | None:
    """Split two texts into the pieces that both have and those that one has alone; None where they are too long."""
    one, other = _WORD.findall(first), _WORD.findall(second)
    if max(len(one), len(other)) > MOST_WORDS:
        return None
    return list(_pieces(one, other))


def _pieces(one: list[str], other: list[str]) -> Iterator[Piece]:
    for what, i, j, k, m in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if what == "equal":
            yield Piece(In.BOTH, "".join(one[i:j]))
            continue
        if i < j:
            yield Piece(In.FIRST, "".join(one[i:j]))
        if k < m:
            yield Piece(In.SECOND, "".join(other[k:m]))
