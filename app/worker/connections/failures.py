"""What a failed call of a model server means for its task: retry it, fail it, or fail the whole batch.

Messages contain the server's own message, and never a key.
"""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import openai

from app.worker.task import TaskFailed

MAX_MESSAGE_CHARACTERS = 1_000  # of a server's answer in a message
HIDDEN = "[hidden]"
RETRYABLE = {408, 409, 425}  # and every status from 500 on
NO_ACCESS = {401, 402, 403}  # the key is wrong, has no credit, or lacks a permission: every task would fail
NO_CREDIT = "insufficient_quota"  # OpenAI's code of a 429 that does not go away by waiting


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
        return _of_status(name, error)
    cause = error.__cause__ or error
    return TaskFailed("no_answer", f"{name} gives no complete answer: {type(cause).__name__}: {cause}")


def _of_status(name: str, error: openai.APIStatusError) -> TaskFailed:
    status = error.status_code
    message = f"{name} answers {status}: {_server_message(error)}"
    wait_seconds = retry_after(error.response.headers)
    if status in NO_ACCESS or (status == 429 and error.code == NO_CREDIT):
        return TaskFailed("no_access", message, retryable=False, critical=True)
    if status == 429:
        return TaskFailed("rate_limited", message, retry_after_seconds=wait_seconds)
    if status in RETRYABLE or status >= 500:
        return TaskFailed("server_error", message, retry_after_seconds=wait_seconds)
    code = "content_filter" if error.code == "content_filter" else "request_refused"
    return TaskFailed(code, message, retryable=False)


def _server_message(error: openai.APIStatusError) -> str:
    """Find the server's message. Servers use different fields for it."""
    message = error.body
    if isinstance(message, Mapping):
        message = message.get("message") or message.get("detail") or message.get("error")
    return str(message or error.response.reason_phrase)[:MAX_MESSAGE_CHARACTERS]


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
