"""Where two answers differ, word by word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.answer.differences import MOST_WORDS, In, differences

TEXTS = st.text(alphabet="ab \n.", max_size=60)


@pytest.mark.parametrize(
    ("first", "second", "pieces"),
    [
        ("one two", "one two", [("both", "one two")]),
        ("one two", "one three", [("both", "one "), ("first", "two"), ("second", "three")]),
        ("one", "one, two", [("both", "one"), ("second", ", two")]),
        ("one two", "two", [("first", "one "), ("both", "two")]),
        ("", "new", [("second", "new")]),
        ("", "", []),
    ],
)
def test_pieces(first: str, second: str, pieces: list[tuple[str, str]]) -> None:
    assert differences(first, second) == [(In(where), text) for where, text in pieces]


@given(first=TEXTS, second=TEXTS)
def test_the_pieces_make_both_texts_again(first: str, second: str) -> None:
    pieces = differences(first, second)
    assert pieces is not None
    assert "".join(piece.text for piece in pieces if piece.where is not In.SECOND) == first
    assert "".join(piece.text for piece in pieces if piece.where is not In.FIRST) == second


def test_texts_that_are_too_long_are_not_taken_apart() -> None:
    words = "a " * (MOST_WORDS // 2)
    assert differences(words, words) is not None
    assert differences(words, f"{words}b") is None
    assert differences(f"{words}b", words) is None
