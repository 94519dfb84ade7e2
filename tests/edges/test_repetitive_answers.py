"""Two repetitive answers side by side: the work to compare them is bounded."""

import pytest

from app.domain.answer import differences as compared
from app.domain.answer.differences import MOST_WORDS, In, differences


class Counted(str):
    """A word that counts how often it is compared."""

    __slots__ = ()
    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Counted.comparisons += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        return str.__hash__(self)


def words(text: str) -> str:
    return (text * MOST_WORDS)[:MOST_WORDS]


REPETITIVE = (
    (words("a "), words("b ")),
    (words("a "), words("a,")),
    (words("a b "), words("b a a ")),
    (words("a a b "), words("b b a ")),
    (words("a b c "), words("a c b ")),
)


@pytest.mark.parametrize(("first", "second"), REPETITIVE)
def test_the_number_of_comparisons_is_bounded(first: str, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = compared._WORD

    class Words:
        def findall(self, text: str) -> list[str]:
            return [Counted(word) for word in real.findall(text)]

    monkeypatch.setattr(compared, "_WORD", Words())
    monkeypatch.setattr(Counted, "comparisons", 0)
    differences(first, second)
    assert Counted.comparisons < 6_000_000


def test_a_few_changes_in_a_repetitive_answer_are_marked() -> None:
    first = words("a b ")
    second = first.replace("a b a b ", "a c a b ", 20)
    pieces = differences(first, second)
    assert pieces is not None
    assert "".join(piece.text for piece in pieces if piece.where is not In.FIRST) == second
    assert sum(piece.where is In.SECOND for piece in pieces) == 20


def test_texts_that_share_nothing_are_too_different() -> None:
    assert differences(words("a b "), words("c,d,")) is None
