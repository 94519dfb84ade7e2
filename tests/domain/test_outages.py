"""When a batch waits for a closed circuit no longer."""

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.connection.circuits import ErrorClass
from app.domain.connection.outages import is_given_up

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def ago(seconds: float | None) -> datetime | None:
    return None if seconds is None else NOW - timedelta(seconds=seconds)


# class, closed since, last failure, last change of the batch (seconds ago), pause_after -> given up; the rule
@pytest.mark.parametrize(
    ("error_class", "since", "failed", "changed", "pause_after", "given_up"),
    [
        ("outage", 600, 1, 700, 600, True),  # closed for long enough
        ("outage", 599, 1, 700, 600, False),
        ("rate_limit", 600, 1, 700, 600, True),
        ("outage", 3600, 1, 599, 600, False),  # the time counts from the batch's last change
        ("outage", 3600, 1, 600, 600, True),
        ("outage", 3600, 1, 3600, None, False),  # never
        ("outage", 1, 1, 2, 0, True),  # at the first failure
        ("outage", 3600, 3, 2, 0, False),  # no failure since the batch was resumed
        ("access", 1, 1, 2, 600, True),  # a person has to act: at once
        ("model", 1, 1, 2, None, True),
        ("access", 3600, 3, 2, 600, False),  # resumed since: one more probe is made
        ("access", 3600, None, 2, 600, False),
        (None, 3600, 1, 3600, 600, True),
    ],
)
def test_given_up(
    error_class: str | None,
    since: float,
    failed: float | None,
    changed: float,
    pause_after: int | None,
    given_up: bool,
) -> None:
    known = ErrorClass(error_class) if error_class else None
    closed_since, changed_at = ago(since), ago(changed)
    assert closed_since
    assert changed_at
    assert is_given_up(known, closed_since, ago(failed), changed_at, pause_after, NOW) is given_up
