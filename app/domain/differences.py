"""Where two answers differ, word by word, for people who compare the answers of two models."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from enum import StrEnum
from typing import NamedTuple

MOST_WORDS = 2_000  # of an answer: the time grows with the product of both lengths
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


class In(StrEnum):
    """Which of the two texts has a piece."""

    BOTH = "both"
    FIRST = "first"
    SECOND = "second"


class Piece(NamedTuple):
    where: In
    text: str


def differences(first: str, second: str) -> list[Piece] | None:
    """Split two texts into pieces that both have and pieces that only one has; None if a text is too long."""
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
