"""Times in requests and answers."""

from datetime import UTC, datetime
from typing import Annotated, overload

Time = Annotated[str, ("format", "date-time")]  # the type of a time in an answer


@overload
def rfc3339(at: datetime) -> str: ...
@overload
def rfc3339(at: None) -> None: ...
def rfc3339(at: datetime | None) -> str | None:
    """Write a time as RFC 3339 in UTC, such as `2026-11-26T05:56:01.5Z`; None stays None."""
    if at is None:
        return None
    if at.tzinfo is not UTC:  # times of the database are in UTC already
        at = at.astimezone(UTC)
    return at.isoformat()[: -len("+00:00")] + "Z"


def time_of(text: str) -> datetime | None:
    """Read a time with its zone, as RFC 3339 and ISO 8601 write it; None for any other text."""
    try:
        at = datetime.fromisoformat(text)
        return None if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
