"""Answers: which part of a result it is, which are equal, and where the score stands."""

from typing import Any

import pytest

from app.domain.answer.answers import answer_of, comparable, has_score, score_of


@pytest.mark.parametrize(
    ("result", "in_json", "answer"),
    [
        ({"text": "t", "json": {"a": 1}, "usage": {}}, False, "t"),
        ({"text": "t", "json": {"a": 1}, "usage": {}}, True, {"a": 1}),
        ({"text": "t"}, True, "t"),
        ({"json": [1]}, False, [1]),
        ({"text": None, "json": None, "usage": {"cost": 1}}, False, None),
        ({"text": ""}, False, ""),
        ({"json": 0}, True, 0),
        ({"label": "spam", "usage": {}}, False, {"label": "spam"}),
        ({}, False, None),
        (None, True, None),
    ],
)
def test_the_answer_in_a_result(result: Any, in_json: bool, answer: Any) -> None:
    assert answer_of(result, in_json) == answer


@pytest.mark.parametrize(
    ("one", "other", "in_json"),
    [
        ("Yes, it is.", "  yes,\n\tIT   is. ", False),
        ("Straße", "STRASSE", False),
        ({"a": 1, "b": [True, None]}, {"b": [True, None], "a": 1.0}, True),
        ([{"x": -0.0}], [{"x": 0}], True),
        ({"a": 1}, {"a": 1.0}, False),
    ],
)
def test_equal_answers(one: Any, other: Any, in_json: bool) -> None:
    assert comparable(one, in_json) == comparable(other, in_json)


@pytest.mark.parametrize(
    ("one", "other", "in_json"),
    [
        ("yes it is", "yes, it is", False),
        ("yes", "Yes", True),  # JSON: a text is equal to itself
        ({"a": 1}, {"a": True}, True),
        ({"a": 1}, {"a": "1"}, True),
        ([1, 2], [2, 1], True),
        ({"a": None}, {}, True),
        ("1", 1, False),
        (1.5, 1, True),
    ],
)
def test_answers_that_differ(one: Any, other: Any, in_json: bool) -> None:
    assert comparable(one, in_json) != comparable(other, in_json)


@pytest.mark.parametrize(
    ("schema", "has"),
    [
        ({"properties": {"score": {"type": "integer"}}}, True),
        ({"properties": {"score": {"type": ["null", "number"]}}}, True),
        ({"properties": {"score": {"type": "string"}}}, False),
        ({"properties": {"score": {"minimum": 1}}}, False),
        ({"properties": {"score": True}}, False),
        ({"properties": {"rating": {"type": "integer"}}}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_schema_has_a_score(schema: Any, has: bool) -> None:
    assert has_score(schema) is has


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ({"score": 4}, 4),
        ({"score": -0.5, "why": "x"}, -0.5),
        ({"score": 0}, 0),
        ({"score": True}, None),
        ({"score": "4"}, None),
        ({"score": None}, None),
        ({}, None),
        ("4", None),
        ([4], None),
        (None, None),
    ],
)
def test_the_score_of_an_answer(answer: Any, score: float | None) -> None:
    assert score_of(answer) == score
