"""Spaces calls evenly: a limit of units per minute is spread over the minute. Pure arithmetic, no clock.

Written here because the existing libraries do something else. `limits` and `pyrate-limiter` count in windows: they let
all requests of a minute go at once and then wait. A server that counts other minutes answers 429. With a window for
each single request, the time of every late wake-up is lost. `aiolimiter` is for asyncio. None of them can be paused
from outside (Retry-After), take units back, or be left by a task that must stop.
"""

SHARE = 0.96  # of the limit: requests travel at different speeds, and more may arrive in one minute than were sent
CATCH_UP_SECONDS = 0.25  # how much of a late start may be made up; idle time beyond that is not saved


class Pacer:
    """Tells when the next call may begin. No minute has more than `per_minute` units and those of one call.

    Units are paid afterwards: a call of many units may begin at once, and the next one waits for it.
    """

    def __init__(self, per_minute: float) -> None:
        self.seconds_each = 60 / (per_minute * SHARE)
        self.next_at = float("-inf")

    def take(self, now: float, units: float) -> None:
        """Take units at the time `now`, which is not before `next_at`."""
        self.next_at = max(self.next_at, now - CATCH_UP_SECONDS) + units * self.seconds_each

    def correct(self, units: float) -> None:
        """Take further units, or give units back (below 0)."""
        self.next_at += units * self.seconds_each
