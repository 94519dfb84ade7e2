"""Texts are divided into parts on the best border, with overlap, and nothing of them is lost."""

import random
from itertools import pairwise

import pytest

from app.domain.document.parts import Part, amount_of, most_parts, parts_of, with_part


def pieces(text: str, most: int, overlap: int) -> list[str]:
    return [text[start:end] for start, end in parts_of(text, most, overlap)]


def test_a_short_text_is_one_part() -> None:
    assert parts_of("abc", 3, 1) == [Part(0, 3)]
    assert parts_of("", 3, 1) == [Part(0, 0)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("aaaa aa.\n\nbb bb bb\ncc", ["aaaa aa.\n\n", "bb bb bb\ncc"]),  # a paragraph before a line
        ("aaaa\naaaa bbb bbbb", ["aaaa\naaaa ", "bbb bbbb"]),  # no line in the last half: a word
        ("aaaa. aaaa\nbb. bbb bb", ["aaaa. aaaa\n", "bb. bbb bb"]),
        ("aaaa aa. aa bb bb", ["aaaa aa. ", "aa bb bb"]),  # a sentence before a word
        ("abcdefghijklmnop", ["abcdefghijkl", "mnop"]),  # no border at all
        ("一二三四五六七。八九十一二三", ["一二三四五六七。", "八九十一二三"]),
    ],
)
def test_a_text_is_divided_on_its_best_border(text: str, parts: list[str]) -> None:
    assert pieces(text, 12, 0) == parts


def test_a_part_repeats_the_end_of_the_one_before_it() -> None:
    text = "One is here. Two is here. Three is here. Four is here."
    assert pieces(text, 30, 15) == [
        "One is here. Two is here. ", "Two is here. Three is here. ", "Three is here. Four is here.",
    ]  # fmt: skip
    assert pieces("a" * 40, 20, 5) == ["a" * 20, "a" * 20]  # without a border nothing is repeated


def test_nothing_is_lost_whatever_the_text() -> None:
    chance = random.Random(7)
    for _ in range(300):
        text = "".join(chance.choice(("\n\n", "\n", ". ", " ", "word", "é", "x" * 30)) for _ in range(200))
        most, overlap = chance.randint(20, 200), chance.randint(0, 10)
        parts = parts_of(text, most, overlap)
        assert parts[0].start == 0
        assert parts[-1].end == len(text)
        assert all(0 < part.end - part.start <= most for part in parts)
        for before, after in pairwise(parts):
            assert before.start < after.start <= before.end < after.end
            assert before.end - after.start <= overlap


def test_the_number_of_parts() -> None:
    text = "One two three. " * 1_000
    for most, overlap in ((2_000, 0), (2_000, 400), (4_000, 1_000), (20_000, 400)):
        assert abs(amount_of(len(text), most, overlap) - len(parts_of(text, most, overlap))) <= 1
    assert (most_parts(1, 1), most_parts(20, 10), most_parts(100, 100), most_parts(0, 3)) == (100, 50, 1, 100)
    assert with_part({"title": "T"}, 2, 3) == {"title": "T", "part": 2, "parts": 3}
    assert with_part(None, 1, 2) == {"part": 1, "parts": 2}
