"""The report of a task, as the bytes of JSON that are sent. They are made once, so that each attempt sends the same.

Any value that a handler returns and any exception that it raises becomes a report that can be sent. No HTTP here.
"""

import math
from dataclasses import dataclass
from typing import Any

import orjson

from app.worker.task import Task, TaskFailed

CODE_LENGTH, MESSAGE_LENGTH = 200, 2_000  # characters
MAX_RETRY_AFTER_SECONDS = 86_400.0
MAX_DEPTH = 200  # levels of nesting; the parser of the service has a limit, too
INTEGERS = range(-(2**63), 2**64)  # that JSON parsers read without loss


@dataclass(frozen=True)
class Report:
    """An item of `POST /api/tasks/report`, ready to send. `has_result` is False for a failure, which has a `code`."""

    task_id: str
    lease_token: str
    body: bytes
    has_result: bool
    code: str | None = None

    @property
    def size(self) -> int:
        """The number of bytes to send."""
        return len(self.body)


def completed(task: Task, result: object) -> Report:
    """Report a result. A result that is not a JSON object becomes a failure."""
    if not isinstance(result, dict):
        message = f"The handler returned {type(result).__name__}, not an object (dict)."
        return failed(task, TaskFailed("bad_result", message, retryable=False))
    try:
        body = _encode(task, outcome="completed", result=result)
    except (TypeError, ValueError, RecursionError) as error:
        return failed(task, TaskFailed("bad_result", f"The result cannot be sent as JSON: {error}", retryable=False))
    return Report(task.id, task.lease_token, body, has_result=True)


def failed(task: Task, failure: TaskFailed) -> Report:
    """Report a failure. Its texts are cut to the API's limits; what cannot be sent beside them is left out."""
    code = _text(failure.code)[:CODE_LENGTH].strip() or "handler_error"
    message = _text(failure.message)
    if len(message) > MESSAGE_LENGTH:
        message = message[: MESSAGE_LENGTH - 4] + " ..."
    error: dict[str, Any] = {"code": code, "message": message}
    fields = {
        "outcome": "failed",
        "retryable": bool(failure.retryable),
        "critical": bool(failure.critical),
        **_retry_after(failure.retry_after_seconds),
    }
    try:
        usage = {"usage": failure.usage} if isinstance(failure.usage, dict) else {}
        body = _encode(task, error={**error, **(failure.refusal or {}), **usage}, **fields)
    except (TypeError, ValueError, RecursionError):
        body = _encode(task, error=error, **fields)
    return Report(task.id, task.lease_token, body, has_result=False, code=code)


def of_exception(task: Task, error: BaseException) -> Report:
    """Report an exception of a handler. Any exception but TaskFailed is retryable."""
    if isinstance(error, TaskFailed):
        return failed(task, error)
    return failed(task, TaskFailed("handler_error", f"{type(error).__name__}: {error}"))


def sendable(value: Any, depth: int = 0) -> Any:
    """Copy a JSON-like value so that it can be sent: lone surrogates become U+FFFD, huge integers become text.

    Raises ValueError when it is nested too deeply or contains itself.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        # Via UTF-16: the two halves of a pair are joined, and a lone half is replaced.
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


def _text(value: object) -> str:
    """Make a text that can be sent and stored: databases accept no NUL character."""
    return str(sendable(str(value))).replace("\0", "\ufffd")


def _retry_after(seconds: float | None) -> dict[str, float]:
    if seconds is None or not math.isfinite(seconds):
        return {}
    return {"retry_after_seconds": min(max(float(seconds), 0.0), MAX_RETRY_AFTER_SECONDS)}
