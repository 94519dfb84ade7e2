"""The one way in which a test waits: for a condition, with a limit that only a test which hangs will meet."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LIMIT_SECONDS = 180.0  # for a slow machine with other work beside it; below `timeout` in pyproject.toml
POLL_SECONDS = 0.01


def wait_until(probe: Callable[[], T], what: str | Callable[[], str] = "the condition") -> T:
    """Call `probe` until what it returns is true, and return that.

    AssertionError naming `what` when that does not come; a function for it is called only then.
    """
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (found := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Did not come in {LIMIT_SECONDS:.0f} s: {what() if callable(what) else what}")
        time.sleep(POLL_SECONDS)
    return found
