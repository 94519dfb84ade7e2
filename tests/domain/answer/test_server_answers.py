"""What is read of a model server's body: its text, for people."""

from typing import Any

import pytest

from app.domain.answer.answers import answer_of
from app.domain.answer.server_answers import is_response, text_of


def chat(*contents: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": content}} for content in contents]}


PARTS = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Fo"}, {"type": "text", "text": "ur."}]
OUTPUT = [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "Four."}]}]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (chat("Four."), "Four."),
        (chat(PARTS), "Four."),
        (chat(None, "Four."), "Four."),
        ({"choices": [{"text": " four."}]}, " four."),
        ({"output": OUTPUT}, "Four."),
        (chat(None), None),
        ({"choices": [None, {"message": None}, {"message": {"content": 4}}]}, None),
        ({"choices": "x", "output": {"a": 1}}, None),
        ({"data": []}, None),
    ],
)
def test_the_text_of_a_body(body: dict[str, Any], text: str | None) -> None:
    assert text_of(body) == text


def test_the_answer_of_a_line_is_its_text_or_else_its_body() -> None:
    assert answer_of({"status_code": 200, "request_id": "r", "body": chat("Four.")}, False) == "Four."
    assert answer_of({"status_code": 200, "request_id": "r", "body": {"results": [1]}}, False) == {"results": [1]}
    assert not is_response({"body": {}})
    assert not is_response({"status_code": 200, "body": "x"})
