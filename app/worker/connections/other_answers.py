"""Answers of /responses, /embeddings and /moderations. Pure."""

from collections.abc import Mapping
from typing import Any

from app.worker.connections.answer import Answer
from app.worker.connections.content_parts import refusal_of, text_of

_CUT = {"max_output_tokens": "length", "max_tokens": "length"}  # reasons of an incomplete response, as a chat has them


def read_response(body: Mapping[str, Any]) -> Answer | None:
    """Read the messages of a response; None while it is not finished (`background`)."""
    output = body.get("output")
    if not isinstance(output, list) or body.get("status") in ("queued", "in_progress", "cancelled"):
        return None
    items = [item for item in output if isinstance(item, Mapping)]
    messages = [item.get("content") for item in items if item.get("type") == "message"]
    return Answer(
        text="".join(map(text_of, messages)),
        finish_reason=_finish_reason(body),
        refusal="".join(filter(None, map(refusal_of, messages))) or None,
        thoughts="items of type reasoning" if any(item.get("type") == "reasoning" for item in items) else None,
        wordless=any(item.get("type") not in ("message", "reasoning") for item in items),
    )


def read_vectors(body: Mapping[str, Any]) -> Answer | None:
    """See that each row of an embedding has its vector (or its base64)."""
    rows = body.get("data")
    if not isinstance(rows, list) or not rows:
        return None
    vectors = [row.get("embedding") if isinstance(row, Mapping) else None for row in rows]
    return Answer(wordless=True) if all(isinstance(vector, list | str) for vector in vectors) else None


def read_moderation(body: Mapping[str, Any]) -> Answer | None:
    """See that there are results."""
    return Answer(wordless=True) if isinstance(body.get("results"), list) and body["results"] else None


def _finish_reason(body: Mapping[str, Any]) -> str:
    if body.get("status") == "failed":
        return "error"
    details = body.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, Mapping) else None
    return _CUT.get(str(reason), str(reason)) if reason else "stop"
