"""How long a failed task waits, and which statuses are open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.leases import FINISHED, OPEN, TaskStatus, backoff_seconds, stands_still


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [(1, 1), (2, 2), (3, 4), (4, 8), (9, 256), (10, 300), (11, 300), (19, 300), (20, 300), (10**9, 300)],
)
def test_one_second_doubled_by_each_attempt_up_to_five_minutes(attempt: int, seconds: float) -> None:
    assert backoff_seconds(attempt) == seconds


@given(attempt=st.integers(1, 10_000))
def test_a_later_attempt_never_waits_less(attempt: int) -> None:
    assert 1 <= backoff_seconds(attempt) <= backoff_seconds(attempt + 1) <= 300


@pytest.mark.parametrize(
    ("still", "lease", "is_stuck"),
    [(59.9, 10, False), (60, 10, True), (60, 60, False), (119.9, 60, False), (120, 60, True), (1199, 600, False)],
)
def test_a_batch_is_stuck_after_a_minute_and_two_lengths_of_a_lease(still: float, lease: int, is_stuck: bool) -> None:
    assert stands_still(still, lease) is is_stuck


@pytest.mark.parametrize(("still", "lease", "is_stuck"), [(120, 60, False), (899.9, 60, False), (900, 60, True)])
def test_a_batch_whose_workers_only_send_heartbeats_is_slow_before_it_is_stuck(
    still: float, lease: int, is_stuck: bool
) -> None:
    assert stands_still(still, lease, True) is is_stuck


def test_a_status_is_open_or_finished() -> None:
    assert sorted((*OPEN, *FINISHED)) == sorted(TaskStatus)
