"""Answers of /chat/completions and /completions: which of the choices is the answer, and what it says. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.worker.connections.answer import Answer
from app.worker.connections.content_parts import refusal_of, text_of, thoughts_of

_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details")
_WORDLESS = ("tool_calls", "function_call", "audio", "images")


def read_chat(body: Mapping[str, Any]) -> Answer | None:
    """Read the first choice that says something; None when there is no choice."""
    return _first(_of_message(choice) for choice in _choices(body) if choice.get("message") or _finish_reason(choice))


def read_completion(body: Mapping[str, Any]) -> Answer | None:
    """Read the first choice; to complete a text by nothing is an answer too."""
    return _first(
        Answer(text_of(choice["text"]), _finish_reason(choice), wordless=True)
        for choice in _choices(body)
        if "text" in choice
    )


def _choices(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = body.get("choices")
    return [each for each in choices if isinstance(each, Mapping)] if isinstance(choices, list) else []


def _first(answers: Iterable[Answer]) -> Answer | None:
    read = list(answers)
    return next((each for each in read if not each.says_nothing), read[0] if read else None)


def _of_message(choice: Mapping[str, Any]) -> Answer:
    message = choice["message"] if isinstance(choice.get("message"), Mapping) else {}
    content, refusal = message.get("content"), message.get("refusal")
    return Answer(
        text=text_of(content),
        finish_reason=_finish_reason(choice),
        refusal=refusal if isinstance(refusal, str) and refusal else refusal_of(content),
        thoughts=next((name for name in _THOUGHTS if message.get(name)), thoughts_of(content)),
        wordless=any(message.get(name) for name in _WORDLESS),
    )


def _finish_reason(choice: Mapping[str, Any]) -> str | None:
    reason = choice.get("finish_reason")
    return reason if isinstance(reason, str) else None
