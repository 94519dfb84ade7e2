"""Estimates how many tokens an input has. Of a text from its letters alone: tokenizers differ from model to model.

The weights lie between those of cl100k_base and o200k_base. tests/worker/connections/test_context.py compares the
estimates with what these two count, in 30 languages.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.worker.connections.context.picture_tokens import is_picture, tokens_of_picture

MESSAGE_TOKENS = 4  # around the content of each message
_CLASSES: tuple[tuple[float, str], ...] = (  # tokens of each match
    (0.27, "[A-Za-z]"),
    (1.0, "[\u00c0-\u00ff]"),
    (1.9, "[\u0100-\u024f]"),
    (0.5, "[0-9]"),
    (0.9, "[!-/:-@\\[-`{-~]+"),
    (0.8, "\n+"),
    (0.45, "[\u0400-\u04ff]"),
    (0.75, "[\u0370-\u03ff]"),
    (0.75, "[\u0590-\u05ff]"),
    (0.62, "[\u0600-\u06ff]"),
    (0.7, "[\u0900-\u0fff]"),
    (0.95, "[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]"),
    (0.95, "[\uac00-\ud7af]"),
)
_STEP = 4_096  # characters
_LONGEST_WORD = 200
_PATTERNS = [(weight, re.compile(pattern)) for weight, pattern in _CLASSES]


def tokens_of_text(text: str) -> int:
    """Estimate the tokens of a text."""
    return round(sum(weight * len(pattern.findall(text)) for weight, pattern in _PATTERNS))


def beginning(text: str, most_tokens: int) -> str:
    """Return as much of the beginning of a text as has at most so many tokens. It ends where a word or a line ends."""
    if most_tokens < 1 or tokens_of_text(text) <= most_tokens:
        return text if most_tokens > 0 else ""
    end, left = 0, float(most_tokens)
    while end < len(text) and (tokens := tokens_of_text(text[end : end + _STEP])) <= left:
        end, left = end + _STEP, left - tokens
    low, high = 0, _STEP
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if tokens_of_text(text[end : end + middle]) <= left else (low, middle)
    end += low
    border = max(text.rfind(mark, max(0, end - _LONGEST_WORD), end) for mark in (" ", "\n"))
    return text[: border if border > 0 else end].rstrip()


def tokens_of_input(value: Any) -> int:
    """Estimate the tokens of messages, or of any other input: all texts and pictures, and what surrounds messages."""
    if isinstance(value, str):
        return tokens_of_text(value)
    messages = len(value) if isinstance(value, list) and all(isinstance(each, Mapping) for each in value) else 0
    return MESSAGE_TOKENS * messages + sum(_tokens_of(value))


def _tokens_of(value: Any) -> Iterator[int]:
    """Yield the tokens of what messages contain: their texts, and the parts of contents."""
    if isinstance(value, str):
        yield tokens_of_text(value)
    elif isinstance(value, list):
        for each in value:
            yield from _tokens_of(each)
    elif is_picture(value):
        yield tokens_of_picture(value)
    elif isinstance(value, Mapping):
        yield from _tokens_of(value.get("content") or value.get("text"))
