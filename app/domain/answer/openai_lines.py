"""The lines of the output and error files of the OpenAI Batch API, made of the rows of tasks. Knows no SQL.

A row has `id`, `custom_id`, `attempt`, `result` and `error`, and for an answer that is not a server's own body also
`body`, `model` and `finished_at`.
"""

from collections.abc import Mapping
from typing import Any

from app.domain.answer.openai_bodies import openai_body
from app.domain.answer.server_answers import is_response

NEVER_RAN = {
    "batch_cancelled": "This request was not made: the batch was cancelled.",
    "batch_expired": "This request was not made: the batch expired.",
}


def output_line(row: Any) -> dict[str, Any]:
    """Make the line of a completed task."""
    sent = row.result if is_response(row.result) else {}
    return _line(row, _response(row, sent, openai_body(row, row.result)), None)


def error_line(row: Any) -> dict[str, Any]:
    """Make the line of a failed task: what the server answered, or why there is no answer."""
    error = row.error or {}
    if is_response(error):
        return _line(row, _response(row, error, error["body"]), None)
    return _line(row, None, {"code": error.get("code"), "message": error.get("message")})


def unfinished_line(row: Any, code: str) -> dict[str, Any]:
    """Make the line of a task that never ended, because its batch did."""
    return _line(row, None, {"code": code, "message": NEVER_RAN[code]})


def _line(row: Any, response: dict[str, Any] | None, error: dict[str, Any] | None) -> dict[str, Any]:
    return {"id": f"batch_req_{row.id}", "custom_id": _custom_id(row), "response": response, "error": error}


def _response(row: Any, sent: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "status_code": sent.get("status_code", 200),
        "request_id": sent.get("request_id") or f"req_{row.id}_{row.attempt}",
        "body": body,
    }


def _custom_id(row: Any) -> str:
    """Give the custom id of a ready-made task; any other task is named by its own id."""
    return str(row.custom_id) if row.custom_id is not None else f"task-{row.id}"
