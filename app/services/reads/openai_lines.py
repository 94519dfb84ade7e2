"""Finished tasks as lines of the OpenAI Batch API: its output file, and its error file. Knows rows, no SQL.

A result that has a `text` becomes the chat completion that would have said it; any other result is the body as it is.
"""

from collections.abc import Mapping
from typing import Any


def output_line(row: Any) -> dict[str, Any]:
    """A completed task as a line of the output file."""
    response = {
        "status_code": 200,
        "request_id": f"req_{row.id}_{row.attempt}",
        "body": _body(row, row.result),
    }
    return {"id": _id(row), "custom_id": _custom_id(row), "response": response, "error": None}


def error_line(row: Any) -> dict[str, Any]:
    """A failed task as a line of the error file: no answer came, and this is why."""
    error = row.error or {}
    said = {"code": error.get("code"), "message": error.get("message")}
    return {"id": _id(row), "custom_id": _custom_id(row), "response": None, "error": said}


def _id(row: Any) -> str:
    return f"batch_req_{row.id}"


def _custom_id(row: Any) -> str:
    """The caller's own name of a ready-made task; the others have none, and go by their ids."""
    return str(row.custom_id) if row.custom_id is not None else f"task-{row.id}"


def _body(row: Any, result: Mapping[str, Any]) -> Mapping[str, Any]:
    text = result.get("text")
    if not isinstance(text, str) or "choices" in result:
        return result
    message = {"role": "assistant", "content": text}
    return {
        "id": f"chatcmpl-{row.id}",
        "object": "chat.completion",
        "created": int(row.finished_at.timestamp()),
        "model": row.model if row.body is None else row.body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(result.get("usage")),
    }


def _usage(usage: Any) -> dict[str, int] | None:
    if not isinstance(usage, Mapping):
        return None
    tokens = [usage.get(name) for name in ("input_tokens", "output_tokens")]
    read, written = (each if isinstance(each, int) else 0 for each in tokens)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
