"""When a message that was not taken is sent again."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# After the first try, the second and so on; after the last one the message has failed.
WAITS_SECONDS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.2  # up to this share longer, so that receivers of many messages do not get all again at once
LONGEST_RETRY_AFTER_SECONDS = 86_400


def wait_seconds(tries: int, chance: float, retry_after_seconds: float | None) -> float | None:
    """Say how long to wait after so many tries; None if there is no further one. `chance` is 0..1, at random.

    A longer wait that the receiver asks for comes first, up to a day.
    """
    if tries > len(WAITS_SECONDS):
        return None
    wait = WAITS_SECONDS[tries - 1] * (1 + JITTER * chance)
    return max(wait, min(retry_after_seconds or 0, LONGEST_RETRY_AFTER_SECONDS))


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """Read a Retry-After header: seconds or a date; None if it is missing or neither."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
