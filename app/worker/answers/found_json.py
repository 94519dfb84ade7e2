"""The JSON in a text that a model wrote around it: thoughts before it, a Markdown fence, words of politeness.

Each step reads the text once, from one end to the other: no pattern that a hostile text could make slow.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from app.worker.answers.lenient_json import loads

FENCE = "```"
_THOUGHTS = ("think", "thinking", "reasoning", "thought")
_PAIRS = (("{", "}"), ("[", "]"))
_NOTHING = object()


def find_json(text: str) -> Iterator[Any]:
    """Yield what a text may mean in JSON, the most likely value first.

    The whole text, else the text after its thoughts, else its only fence: then that is the only value. Else what the
    outermost braces and brackets enclose, in the order in which they open.
    """
    spoken = without_thoughts(text)
    for part in (text, spoken, _fenced(spoken)):
        value = _read(part)
        if value is not _NOTHING:
            yield value
            return
    for part in _enclosed(spoken):
        value = _read(part)
        if value is not _NOTHING:
            yield value


def without_thoughts(text: str) -> str:
    """Take away a leading block such as `<think>...</think>`; one that is never closed is the whole text.

    Some servers swallow the opening tag: then the text before the closing one is thoughts too.
    """
    start = text.lstrip()
    for tag in _THOUGHTS:
        before, closing, rest = start.partition(f"</{tag}>")
        if start.startswith(f"<{tag}>"):
            return rest
        if closing and f"<{tag}>" not in before:
            return rest
    return text


def _read(text: str) -> Any:
    if text.strip():
        with suppress(ValueError):
            return loads(text)
    return _NOTHING


def _fenced(text: str) -> str:
    """Read the lines within the only fence; nothing where there is none, or more than one."""
    lines = text.splitlines()
    marks = [number for number, line in enumerate(lines) if line.lstrip().startswith(FENCE)]
    if not 1 <= len(marks) <= 2:
        return ""
    return "\n".join(lines[marks[0] + 1 : marks[1] if len(marks) == 2 else None])


def _enclosed(text: str) -> Iterator[str]:
    spans = sorted((text.find(opening), text.rfind(closing)) for opening, closing in _PAIRS)
    yield from (text[start : end + 1] for start, end in spans if 0 <= start < end)
