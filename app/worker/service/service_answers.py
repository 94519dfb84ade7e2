"""Which HTTP answers come from Interlock, and what each failed call means: one exception for each reaction.

A proxy in front of the service may answer in its place, with any status and a page of its own. So an answer is the
service's own only in two forms: 200 with JSON of the expected shape, or `application/problem+json` whose `type`
names Interlock and its `code`. Any other answer says nothing about the call: it is an outage.

Unavailable: wait and repeat the call. Refused: do not repeat it. Unauthorized: stop, since an operator has to act.
"""

from typing import Any

import orjson
import requests

RETRYABLE = {408, 425, 429, 500, 502, 503, 504}
NOT_THE_SERVICE = "its answer is not Interlock's"
PROBLEM_TYPE = "urn:interlock:problem:"
MAX_RETRY_AFTER_SECONDS = 30.0
MAX_REASON = 500  # characters


class Unavailable(Exception):
    """No answer, or an answer that allows another attempt. `status` is None when there was no answer.

    `is_busy`: the service itself asks to repeat the call later, so the content of the call is not the cause.
    """

    def __init__(
        self,
        reason: str,
        status: int | None = None,
        retry_after_seconds: float | None = None,
        is_busy: bool = False,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.is_busy = is_busy


class Refused(Exception):
    """The service understood the request and refused it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class Unauthorized(Refused):
    """401 or 403: the token is not valid, or it is not a worker's token."""


def answer_of(response: requests.Response, noun: str) -> dict[str, Any]:
    """Read an answer 200 with rows of `noun`. Raises Unavailable when it is not the service's."""
    try:
        answer = orjson.loads(response.content) if media_type_of(response) == "application/json" else {}
        rows = answer[noun]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        answer, rows = {}, None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Unavailable(NOT_THE_SERVICE, response.status_code)
    return dict(answer)


def failure_of(response: requests.Response) -> Unavailable | Refused:
    """Make the exception for an answer that is not 200."""
    status, problem = response.status_code, problem_of(response)
    if problem is None:
        return Unavailable(_reason_of_foreign(response), status, retry_after(response))
    reason = str(problem.get("detail"))[:MAX_REASON]
    if status in RETRYABLE:
        return Unavailable(reason, status, retry_after(response), is_busy=status != 500)
    if (status, problem["code"]) in {(401, "unauthenticated"), (403, "forbidden")}:
        return Unauthorized(status, reason)
    return Refused(status, reason)


def failure_of_no_answer(error: requests.RequestException) -> Unavailable:
    """Make the exception for a call without an answer, with the cause in a few words."""
    if isinstance(error, requests.Timeout):
        return Unavailable("it does not answer in time")
    if isinstance(error, requests.ConnectionError):
        return Unavailable("there is no connection")
    return Unavailable(type(error).__name__)


def problem_of(response: requests.Response) -> dict[str, Any] | None:
    """Read a problem document of the service; None for any other answer."""
    if response.status_code < 400 or media_type_of(response) != "application/problem+json":
        return None
    try:
        problem = orjson.loads(response.content)
        is_own = problem["type"] == f"{PROBLEM_TYPE}{problem['code']}" and problem["status"] == response.status_code
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return problem if is_own else None


def media_type_of(response: requests.Response) -> str:
    """Read the media type without its parameters, in lower case."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def retry_after(response: requests.Response) -> float | None:
    """Read Retry-After in seconds, within limits. Its date form is ignored."""
    try:
        return min(max(float(response.headers["Retry-After"]), 0.1), MAX_RETRY_AFTER_SECONDS)
    except (KeyError, ValueError):
        return None


def _reason_of_foreign(response: requests.Response) -> str:
    target = response.headers.get("Location", "")[:MAX_REASON]
    answer = f"{response.status_code} {response.reason}" + (f" to {target}" if target else "")
    return f"something in its place answers {answer}"
