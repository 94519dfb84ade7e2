"""The one way in which a test waits: for a condition, with a limit that only a test which hangs will meet."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LIMIT_SECONDS = 180.0  # for a slow machine with other work beside it; below `timeout` in pyproject.toml
# Between two looks: short at first, then longer, since a look may be a call that takes the time of what it waits for.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, GROWTH = 0.005, 0.1, 1.2


def wait_until(probe: Callable[[], T], what: str | Callable[[], str] = "the condition") -> T:
    """Call `probe` until what it returns is true, and return that.

    AssertionError naming `what` when that does not come; a function for it is called only then.
    """
    deadline, pause_seconds = time.monotonic() + LIMIT_SECONDS, FIRST_PAUSE_SECONDS
    while not (found := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Did not come in {LIMIT_SECONDS:.0f} s: {what() if callable(what) else what}")
        time.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * GROWTH, LONGEST_PAUSE_SECONDS)
    return found
