"""How long a failed task waits, and which statuses are open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.leases import FINISHED, OPEN, TaskStatus, backoff_seconds


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [(1, 1), (2, 2), (3, 4), (4, 8), (9, 256), (10, 300), (11, 300), (19, 300), (20, 300), (10**9, 300)],
)
def test_one_second_doubled_by_each_attempt_up_to_five_minutes(attempt: int, seconds: float) -> None:
    assert backoff_seconds(attempt) == seconds


@given(attempt=st.integers(1, 10_000))
def test_a_later_attempt_never_waits_less(attempt: int) -> None:
    assert 1 <= backoff_seconds(attempt) <= backoff_seconds(attempt + 1) <= 300


def test_a_status_is_open_or_finished() -> None:
    assert sorted((*OPEN, *FINISHED)) == sorted(TaskStatus)
