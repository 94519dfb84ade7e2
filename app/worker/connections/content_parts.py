"""The content of a message: a text, or a list of parts, some of which are text. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

_TEXT = {"text", "output_text", None}  # a part without a type is a text if it has one


def text_of(content: Any) -> str:
    """Join the text parts of a content, thoughts left out; what is no text is an empty one."""
    return "".join(_text(part) for part in _parts(content))


def refusal_of(content: Any) -> str | None:
    """Join the refusals among the parts; None where there is none."""
    refusals = [part.get("refusal") for part in _parts(content) if isinstance(part, Mapping)]
    return "".join(each for each in refusals if isinstance(each, str)) or None


def thoughts_of(content: Any) -> str | None:
    """Name the kind of part that holds thoughts; None where there is none."""
    kinds = [part.get("type") for part in _parts(content) if isinstance(part, Mapping)]
    return next((f"parts of type {kind}" for kind in kinds if kind in ("thinking", "reasoning")), None)


def _parts(content: Any) -> Iterable[Any]:
    return content if isinstance(content, list) else [content]


def _text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping) or part.get("type") not in _TEXT:
        return ""
    text = part.get("text")
    return text if isinstance(text, str) else ""
