"""When a batch is paused because of closed connections. Pure."""

from datetime import datetime, timedelta

from app.domain.connection.circuits import LASTING, ErrorClass


def is_given_up(
    error_class: ErrorClass | None,
    closed_since: datetime,
    failed_at: datetime | None,
    changed_at: datetime,
    pause_after_seconds: int | None,
    now: datetime,
) -> bool:
    """Decide whether a batch, last changed at `changed_at`, waits for a closed circuit no longer.

    It does not if a person has to act, or if the circuit was closed for `pause_after_seconds` (None: for ever). Only
    failures since its last change count: a batch that was resumed is tried before it is paused again.
    """
    if failed_at is None or failed_at < changed_at:
        return False
    if error_class in LASTING:
        return True
    if pause_after_seconds is None:
        return False
    return now - max(closed_since, changed_at) >= timedelta(seconds=pause_after_seconds)
