"""What a failed call of a model server means for its task: retry it, fail it, or fail the whole batch.

Messages contain the server's own message, and never a key.
"""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import openai

from app.worker.connections.body_errors import BodyError, described
from app.worker.task import TaskFailed

HIDDEN = "[hidden]"
RETRYABLE = {408, 409, 425}  # and every status from 500 on
DENIED = {402, 403}  # one request, or the key: app.worker.connections.access decides
NO_CREDIT = "insufficient_quota"  # OpenAI's code of a 429 that does not go away by waiting


class Denied(TaskFailed):
    """A 402 or 403. It is not yet decided whether it is about the request or about the key."""


def failure_of(name: str, key: str, error: Exception) -> TaskFailed:
    """Convert an exception of the SDK into a TaskFailed. The key is removed from its message."""
    failure = _failure_of(name, error)
    failure.message = without_key(key, failure.message)
    return failure


def without_key(key: str, text: str) -> str:
    """Replace a key in a text."""
    return text.replace(key, HIDDEN) if key else text


def _failure_of(name: str, error: Exception) -> TaskFailed:
    if isinstance(error, openai.APITimeoutError):
        return TaskFailed("timeout", f"{name} does not answer in time ({type(error.__cause__).__name__}).")
    if isinstance(error, openai.APIStatusError):
        body_error = described(error.body or error.response.reason_phrase)
        return of_status(name, error.status_code, body_error, error.response.headers)
    cause = error.__cause__ or error
    return TaskFailed("no_answer", f"{name} gives no complete answer: {type(cause).__name__}: {cause}")


def of_status(name: str, status: int, error: BodyError, headers: Mapping[str, str]) -> TaskFailed:
    """Convert a status, and the error that came with it, into a TaskFailed."""
    message = f"{name} answers {status}: {error.message}"
    wait_seconds = retry_after(headers)
    if error.filtered:
        return TaskFailed("content_filter", message, retryable=False)
    if status in DENIED:
        return Denied("request_refused", message, retryable=False)
    if status == 401 or (status == 429 and error.code == NO_CREDIT):
        return TaskFailed("no_access", message, retryable=False, critical=True)
    if status == 429:
        return TaskFailed("rate_limited", message, retry_after_seconds=wait_seconds)
    if status in RETRYABLE or status >= 500:
        return TaskFailed("server_error", message, retry_after_seconds=wait_seconds)
    return TaskFailed("request_refused", message, retryable=False)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After, a number or a date, as seconds from now. None when it is absent or malformed."""
    value = headers.get("Retry-After", "")
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None
