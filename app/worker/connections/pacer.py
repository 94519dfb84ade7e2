"""An even pace: so many units a minute, spread over the minute. Pure arithmetic on a clock that others read.

Our own code, since the libraries that were looked at do something else. `limits` and `pyrate-limiter` count in windows:
they let a minute's requests out at once and then wait, so that a server which counts other minutes than they do says
429; spaced out by a window of one request, they lose the time of every late waking. `aiolimiter` is for asyncio.
None can be slowed from outside (Retry-After), take units back, or be left by a task that is to stop.
"""

SHARE = 0.96  # of what is allowed: room in every minute for requests that travel at uneven speed
CATCH_UP_SECONDS = 0.25  # a turn that is taken late may be caught up, but no idle time is saved beyond that


class Pacer:
    """Says when the next call may go, whatever it takes. In no minute go more than `per_minute` and one call's units.

    Units are paid after they are taken: who takes many makes the next one wait for it.
    """

    def __init__(self, per_minute: float) -> None:
        self.seconds_each = 60 / (per_minute * SHARE)
        self.next_at = float("-inf")

    def take(self, now: float, units: float) -> None:
        """Take units at a moment that is not before `next_at`."""
        self.next_at = max(self.next_at, now - CATCH_UP_SECONDS) + units * self.seconds_each

    def correct(self, units: float) -> None:
        """Take so many more than was said, or give back so many (below 0)."""
        self.next_at += units * self.seconds_each
