"""A time in an answer, compared with the moments before and after the call: exact, however long the call took."""

from datetime import UTC, datetime, timedelta


def now() -> datetime:
    """Read the clock of this machine, by which the databases of the tests go too."""
    return datetime.now(UTC)


def is_from(began: datetime, seconds: float, at: str) -> bool:
    """Whether `at` is `seconds` after some moment between `began` and now."""
    wait = timedelta(seconds=seconds)
    return began + wait <= datetime.fromisoformat(at) <= now() + wait
