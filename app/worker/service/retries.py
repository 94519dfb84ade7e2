"""The retry policy of calls to the service: waits that grow up to a limit; a Retry-After header comes first."""

from collections.abc import Callable
from typing import TypeVar

import stamina

from app.worker.service.service_answers import Unavailable

T = TypeVar("T")
FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS, JITTER_SECONDS = 0.1, 3.0, 0.2


def call_with_retries(call: Callable[[], T], should_retry: Callable[[Unavailable, int], bool]) -> T:
    """Repeat a call while it raises Unavailable, and return its answer.

    `should_retry` is called with the exception and the number of attempts so far. When it returns False, the
    exception is raised.
    """
    attempts = 0

    def wait_of(error: Exception) -> bool | float:
        if not isinstance(error, Unavailable) or not should_retry(error, attempts):
            return False
        return True if error.retry_after_seconds is None else error.retry_after_seconds

    for attempt in stamina.retry_context(
        on=wait_of,
        attempts=None,
        timeout=None,
        wait_initial=FIRST_WAIT_SECONDS,
        wait_max=MAX_WAIT_SECONDS,
        wait_jitter=JITTER_SECONDS,
    ):
        with attempt:
            attempts = attempt.num
            return call()
    raise AssertionError("stamina ends with an answer or an exception")
