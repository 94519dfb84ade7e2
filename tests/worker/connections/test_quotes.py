"""What a server's message quotes of a request is cut out of it, and nothing else."""

from typing import Any

import pytest

from app.worker.connections.quotes import CUT, without_quotes

LETTER = "Dear Jane, the result of your examination of 3 March is negative. Yours, Dr. Moss"


def body(text: Any, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini-2024-07-18", "messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        (f"x answers 503: cannot handle {LETTER!r}", f"x answers 503: cannot handle '{CUT}'"),
        (f"x answers 403: {LETTER[11:60]}", f"x answers 403:{CUT}"),
        (f"{LETTER[:30]} and {LETTER[40:70]}", f"{CUT} and {CUT}"),
        (f"input: {LETTER}, output: {LETTER}", f"input: {CUT}, output: {CUT}"),
        ("x answers 429: You exceeded your current quota.", "x answers 429: You exceeded your current quota."),
        ("The model `gpt-4o-mini-2024-07-18` does not exist.", "The model `gpt-4o-mini-2024-07-18` does not exist."),
        ("the result of you", CUT),
        ("the result", "the result"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("content", [LETTER, [{"type": "text", "text": LETTER}], f"Summarise:\n\n{LETTER}\n"])
def test_a_quote_is_cut_out(message: str, kept: str, content: Any) -> None:
    assert without_quotes(message, body(content)) == kept


@pytest.mark.parametrize("start", range(30))
def test_a_quote_is_found_wherever_it_begins(start: int) -> None:
    """From 23 characters on, whatever stands before it."""
    message = "#" * start + LETTER[start : start + 23] + "#"
    assert without_quotes(message, body(LETTER)) == "#" * start + CUT + "#"


def test_other_fields_of_a_line_are_its_content_too() -> None:
    assert without_quotes(f"bad: {LETTER}", {"model": "m", "input": ["a", LETTER]}) == f"bad: {CUT}"
