"""Try again until it is answered: the waits between attempts grow to a bound, Retry-After is heeded."""

from collections.abc import Callable
from typing import TypeVar

import stamina

from app.worker.client import Away

T = TypeVar("T")
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, JITTER_SECONDS = 0.1, 3.0, 0.2


def patiently(call: Callable[[], T], wanted: Callable[[Away, int], bool]) -> T:
    """Call until it is answered. Raises its last Away once `wanted` says no, given that and the attempt (from 1)."""
    attempts = 0

    def go_on(error: Exception) -> bool | float:
        if not isinstance(error, Away) or not wanted(error, attempts):
            return False
        return True if error.retry_after_seconds is None else error.retry_after_seconds

    for attempt in stamina.retry_context(
        on=go_on,
        attempts=None,
        timeout=None,
        wait_initial=FIRST_WAIT_SECONDS,
        wait_max=LONGEST_WAIT_SECONDS,
        wait_jitter=JITTER_SECONDS,
    ):
        with attempt:
            attempts = attempt.num
            return call()
    raise AssertionError("a call without a limit of attempts ends in an answer or an exception")
