"""What is sent about a task: its report as bytes of JSON, made once, so that every re-sending is the same.

Whatever a handler returns or raises ends here as something that can be sent. Knows no HTTP.
"""

import math
from dataclasses import dataclass
from typing import Any

import orjson

from app.worker.task import Task, TaskFailed

CODE_LENGTH, MESSAGE_LENGTH = 200, 2_000  # characters
MOST_RETRY_AFTER_SECONDS = 86_400.0
DEEPEST = 200  # levels of nesting; parsers at the other end have limits of their own
INTEGERS = range(-(2**63), 2**64)  # what JSON parsers read without loss


@dataclass(frozen=True)
class Report:
    """An item of `POST /api/tasks/report`, ready to send; `answered` says whether it carries a result."""

    task_id: str
    lease_token: str
    body: bytes
    answered: bool


def completed(task: Task, result: object) -> Report:
    """Report a result; what is no JSON object becomes a failure that says so."""
    if not isinstance(result, dict):
        what = f"The handler returned {type(result).__name__}, not an object (dict)."
        return failed(task, TaskFailed("bad_result", what, retryable=False))
    try:
        body = _encode(task, outcome="completed", result=result)
    except (TypeError, ValueError, RecursionError) as error:
        return failed(task, TaskFailed("bad_result", f"The result cannot be sent as JSON: {error}", retryable=False))
    return Report(task.id, task.lease_token, body, answered=True)


def failed(task: Task, failure: TaskFailed) -> Report:
    """Report a failure, its texts cut to what the API takes. A usage that is none is left out, and not the failure."""
    code = _line(failure.code)[:CODE_LENGTH].strip() or "handler_error"
    message = sendable(_line(failure.message))
    if len(message) > MESSAGE_LENGTH:
        message = message[: MESSAGE_LENGTH - 4] + " ..."
    error: dict[str, Any] = {"code": code, "message": message}
    said = {
        "outcome": "failed",
        "retryable": bool(failure.retryable),
        "critical": bool(failure.critical),
        **_retry_after(failure.retry_after_seconds),
    }
    try:
        usage = {"usage": failure.usage} if isinstance(failure.usage, dict) else {}
        body = _encode(task, error={**error, **usage}, **said)
    except (TypeError, ValueError, RecursionError):
        body = _encode(task, error=error, **said)
    return Report(task.id, task.lease_token, body, answered=False)


def of_exception(task: Task, error: BaseException) -> Report:
    """Report whatever a handler raised: what it did not say in a TaskFailed may be tried again."""
    if isinstance(error, TaskFailed):
        return failed(task, error)
    return failed(task, TaskFailed("handler_error", f"{type(error).__name__}: {error}"))


def sendable(value: Any, depth: int = 0) -> Any:
    """Copy a JSON-like value so that it can be sent: lone surrogates become U+FFFD, huge integers text.

    Raises ValueError where it is nested too deeply or contains itself.
    """
    if depth > DEEPEST:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels")
    if isinstance(value, str):
        # UTF-16 joins the halves of a pair that stand side by side, and shows those that stand alone.
        return str(value) if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {sendable(key, depth + 1): sendable(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [sendable(inner, depth + 1) for inner in value]
    if isinstance(value, int) and value not in INTEGERS:
        return str(value)
    return value


def _encode(task: Task, **report: Any) -> bytes:
    item = {"task_id": task.id, "lease_token": task.lease_token, **report}
    try:
        return orjson.dumps(item, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return orjson.dumps(sendable(item), option=orjson.OPT_NON_STR_KEYS)


def _line(text: object) -> str:
    """Any text, even of a careless handler, without the NUL that no database takes in a text."""
    return str(sendable(str(text))).replace("\0", "\ufffd")


def _retry_after(seconds: float | None) -> dict[str, float]:
    if seconds is None or not math.isfinite(seconds):
        return {}
    return {"retry_after_seconds": min(max(float(seconds), 0.0), MOST_RETRY_AFTER_SECONDS)}
