"""What a failed call of a model server means: the failure of its task, or perhaps of its connection.

Messages contain the server's own message, and never a key.
"""

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import openai

from app.worker.connections.body_errors import BodyError, described
from app.worker.connections.call_failed import CallFailed, ErrorClass
from app.worker.task import TaskFailed

HIDDEN = "[hidden]"
RETRYABLE = {409, 425}  # the server is there, and another attempt may succeed
DENIED = {402, 403}  # one request, or the key: app.worker.connections.evidence decides
NO_CREDIT = "insufficient_quota"  # OpenAI's code of a 429 that does not go away by waiting
REFUSED_BY_GATEWAY = {408, 502, 503, 504}  # the model has not seen the request
UNKNOWN_MODEL = {"model_not_found", "model_not_available", "DeploymentNotFound", "unknown_model"}
UNKNOWN_MODEL_WORDS = re.compile(
    r"unknown model|invalid model|no such model|not a valid model|model\b.{0,100}\b(not found|not exist)",
    re.IGNORECASE | re.DOTALL,
)
TOO_LARGE = "Request too large"  # OpenAI's 429 for a request above the limit of a minute: no waiting helps


def failure_of(name: str, key: str, error: Exception) -> TaskFailed:
    """Convert an exception of the SDK into a TaskFailed. The key is removed from its message."""
    failure = _failure_of(name, error)
    failure.message = without_key(key, failure.message)
    return failure


def without_key(key: str, text: str) -> str:
    """Replace a key in a text."""
    return text.replace(key, HIDDEN) if key else text


def no_answer(name: str, code: str, why: str, was_received: bool) -> CallFailed:
    """Make the failure of a call without a complete answer."""
    return CallFailed(ErrorClass.OUTAGE, code, f"{name} {why}", was_received=was_received)


def _failure_of(name: str, error: Exception) -> TaskFailed:
    cause = error.__cause__ or error
    if isinstance(error, openai.APITimeoutError):
        is_connected = "Connect" not in type(cause).__name__
        return no_answer(name, "timeout", f"does not answer in time ({type(cause).__name__}).", is_connected)
    if isinstance(error, openai.APIStatusError):
        body_error = described(error.body or error.response.reason_phrase)
        return of_status(name, error.status_code, body_error, error.response.headers)
    why = f"gives no complete answer: {type(cause).__name__}: {cause}"
    return no_answer(name, "no_answer", why, was_received=False)


def of_status(name: str, status: int, error: BodyError, headers: Mapping[str, str]) -> TaskFailed:
    """Convert a status, and the error that came with it, into a TaskFailed."""
    message = f"{name} answers {status}: {error.message}"
    if error.filtered:
        return TaskFailed("content_filter", message, retryable=False)
    if status == 401 or (status == 429 and error.code == NO_CREDIT):
        return CallFailed(ErrorClass.ACCESS, "no_access", message, retryable=False, is_certain=True)
    if is_unknown_model(status, error):
        return CallFailed(ErrorClass.MODEL, "request_refused", message, retryable=False, is_certain=True)
    if status in DENIED:
        return CallFailed(ErrorClass.ACCESS, "request_refused", message, retryable=False)
    if status == 429 and TOO_LARGE not in error.message:
        return CallFailed(ErrorClass.RATE_LIMIT, "rate_limited", message, wait_seconds=retry_after(headers))
    if status == 408 or status >= 500:
        was_received = status not in REFUSED_BY_GATEWAY
        seconds = retry_after(headers)
        return CallFailed(ErrorClass.OUTAGE, "server_error", message, was_received=was_received, wait_seconds=seconds)
    if status in RETRYABLE:
        return TaskFailed("server_error", message)
    return TaskFailed("request_refused", message, retryable=False)


def is_unknown_model(status: int, error: BodyError) -> bool:
    """Whether a server says that it does not have the model. A 404 without a code says no more than that."""
    if error.code in UNKNOWN_MODEL:
        return 400 <= status < 500
    if status == 404:
        return error.code in (None, "404") or bool(UNKNOWN_MODEL_WORDS.search(error.message))
    return status == 400 and bool(UNKNOWN_MODEL_WORDS.search(error.message))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After, a number or a date, as seconds from now. None when it is absent or malformed."""
    value = headers.get("Retry-After", "")
    try:
        seconds = float(value)
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None
