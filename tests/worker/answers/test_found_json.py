"""JSON within the words of a model: what is found, in which order, and that no text makes it slow."""

from typing import Any

import pytest

from app.worker.answers.found_json import find_json, without_thoughts
from app.worker.answers.json_answers import check_result

N = {"n": 4}
SCHEMA = {"type": "object", "required": ["n"]}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"n": 4}', [N]),
        ('```json\n{"n": 4}\n```', [N]),
        ('```\n{"n": 4}', [N]),
        ('Here:\n  ```JSON\n  {"n": 4}\n  ```\nBye.', [N]),
        ('```json {"n": 4} ```', [N]),
        ('<think>{"n": 0}</think>{"n": 4}', [N]),
        ('  <thinking>\n{"n": 0}\n</thinking>\n\n```json\n{"n": 4}\n```', [N]),
        ('{"n": 0}? No.</think>{"n": 4}', [N]),
        ('So: {"n": 4}.', [N]),
        ('So: [{"n": 4}].', [[N], N]),
        ('[1] says {"n": 4}', [[1], N]),
        ('{"n": "</think>"}', [{"n": "</think>"}]),
        ('{"n": NaN}', [{"n": None}]),
        ("<think>It is {}", []),
        ("}{", []),
        ("```\n```\n```\n", []),
        ("", []),
    ],
)
def test_what_is_found(text: str, values: list[Any]) -> None:
    assert list(find_json(text)) == values


def test_the_value_that_fits_the_schema_is_taken() -> None:
    assert check_result({"text": '[1] says {"n": 4}'}, SCHEMA)["json"] == N


@pytest.mark.parametrize("part", ["```json\n\n\n", "<think>", "</think>", "{", "}", "[", "]", '{"a":', "`", "\n", "{]"])
def test_no_text_makes_it_slow(part: str) -> None:
    """In quadratic time, a text of this length would take longer than a test may."""
    assert list(find_json(part * (1_000_000 // len(part)))) == []


def test_other_texts_keep_their_words() -> None:
    assert without_thoughts("I think. <b>So</b>.") == "I think. <b>So</b>."
