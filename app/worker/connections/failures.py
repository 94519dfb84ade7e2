"""What a call's failure means for its task: try again, give up, or stop the whole batch.

Messages carry the server's own sentence, and never a key.
"""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import openai

from app.worker.task import TaskFailed

MOST_SENTENCE = 1_000  # characters of a server's answer in a message
HIDDEN = "[hidden]"
TRY_AGAIN = {408, 409, 425}  # and all from 500 on
NO_ACCESS = {401, 402, 403}  # the key is wrong, has no credit, or may not do this: so it is for every task
NO_CREDIT = "insufficient_quota"  # OpenAI's code of a 429 that no waiting helps


def failure_of(name: str, key: str, error: Exception) -> TaskFailed:
    """Turn an exception of the SDK into the report of it."""
    failure = _failure_of(name, error)
    failure.message = without(key, failure.message)
    return failure


def without(key: str, text: str) -> str:
    """Take a key out of a text."""
    return text.replace(key, HIDDEN) if key else text


def _failure_of(name: str, error: Exception) -> TaskFailed:
    if isinstance(error, openai.APITimeoutError):
        return TaskFailed("timeout", f"{name} does not answer in time ({type(error.__cause__).__name__}).")
    if isinstance(error, openai.APIStatusError):
        return _of_status(name, error)
    cause = error.__cause__ or error
    return TaskFailed("no_answer", f"{name} gives no whole answer: {type(cause).__name__}: {cause}")


def _of_status(name: str, error: openai.APIStatusError) -> TaskFailed:
    status = error.status_code
    message = f"{name} answers {status}: {_sentence(error)}"
    wait_seconds = retry_after(error.response.headers)
    if status in NO_ACCESS or (status == 429 and error.code == NO_CREDIT):
        return TaskFailed("no_access", message, retryable=False, critical=True)
    if status == 429:
        return TaskFailed("rate_limited", message, retry_after_seconds=wait_seconds)
    if status in TRY_AGAIN or status >= 500:
        return TaskFailed("server_error", message, retry_after_seconds=wait_seconds)
    code = "content_filter" if error.code == "content_filter" else "request_refused"
    return TaskFailed(code, message, retryable=False)


def _sentence(error: openai.APIStatusError) -> str:
    """Find what the server says; servers put it into different places."""
    said = error.body
    if isinstance(said, Mapping):
        said = said.get("message") or said.get("detail") or said.get("error")
    return str(said or error.response.reason_phrase)[:MOST_SENTENCE]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds to wait, from a number or a date; None where nothing readable is said."""
    said = headers.get("Retry-After", "")
    try:
        return max(float(said), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(said).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None
