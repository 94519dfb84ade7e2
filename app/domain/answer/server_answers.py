"""An answer as a model server sent it: what is read of it for people, and how it stands in a worker's result. Pure.

The result of a ready-made line is `{"status_code", "request_id", "body"}`; any other may have a `body` beside its text.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

CUT = frozenset({"length", "max_tokens", "max_output_tokens"})  # as the endpoints call the limit of tokens


class OnTruncated(StrEnum):
    """What happens to an answer that reached the limit of its tokens: it is kept and marked, or its task fails."""

    KEEP = "keep"
    FAIL = "fail"


def is_response(result: Mapping[str, Any]) -> bool:
    """Say whether a result is the response of a model server to a line."""
    return "status_code" in result and isinstance(result.get("body"), Mapping)


def text_of(body: Mapping[str, Any]) -> str | None:
    """Read the text of a body: of its first choice that has one, or of its output; None where there is none."""
    for choice in _objects(body.get("choices")):
        text = _of_content(_object(choice.get("message")).get("content")) or _of_content(choice.get("text"))
        if text:
            return text
    parts = (_of_content(item.get("content")) for item in _objects(body.get("output")) if item.get("type") == "message")
    return "".join(filter(None, parts)) or None


def is_truncated(result: Mapping[str, Any]) -> bool:
    """Say whether an answer reached the limit of its tokens, whichever endpoint gave it, or a handler says so."""
    if _is_cut(result.get("finish_reason")):
        return True
    body = result.get("body")
    if not isinstance(body, dict):
        return False
    if _is_cut(_object(body.get("incomplete_details")).get("reason")):
        return True
    return is_response(result) and any(_is_cut(each.get("finish_reason")) for each in _objects(body.get("choices")))


def _is_cut(reason: Any) -> bool:
    return isinstance(reason, str) and reason in CUT


def _of_content(content: Any) -> str | None:
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = [part.get("text") for part in _objects(content) if part.get("type") in ("text", "output_text")]
    return "".join(text for text in texts if isinstance(text, str))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(values: Any) -> list[Mapping[str, Any]]:
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []
