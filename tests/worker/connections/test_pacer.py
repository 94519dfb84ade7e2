"""The pacer on a fake clock: every period of a minute has enough requests and not too many."""

import random
from bisect import bisect_left

import pytest

from app.worker.connections.pacer import CATCH_UP_SECONDS, Pacer


def sent_at(per_minute: float, seconds: float, late_seconds: float = 0.0, units: float = 1.0) -> list[float]:
    """The times of calls by a caller that always wants one more, and wakes up to `late_seconds` late."""
    pacer, chance, now, sent = Pacer(per_minute), random.Random(7), 0.0, []
    while now < seconds:
        if pacer.next_at > now:
            now = pacer.next_at + chance.uniform(0, late_seconds)
        pacer.take(now, units)
        sent.append(now)
    return sent


def counts_of_minutes(sent: list[float], end: float) -> list[int]:
    """Count the calls in each full minute that begins at a call, or just after one."""
    starts = [moment + step for moment in sent for step in (0.0, 1e-9) if moment + step + 60 <= end]
    return [bisect_left(sent, start + 60) - bisect_left(sent, start) for start in starts]


@pytest.mark.parametrize("late_seconds", [0.0, 0.01, 0.1, 0.3])
def test_six_hundred_a_minute_are_540_to_600_in_every_minute_of_three(late_seconds: float) -> None:
    counts = counts_of_minutes(sent_at(600, 180, late_seconds), 180)
    assert len(counts) > 1_000
    assert min(counts) >= 540
    assert max(counts) <= 600


@pytest.mark.parametrize("per_minute", [1, 7, 60, 6_000])
def test_other_limits_are_never_passed(per_minute: int) -> None:
    assert max(counts_of_minutes(sent_at(per_minute, 240), 240)) <= per_minute


def test_idle_time_is_not_saved_up() -> None:
    pacer = Pacer(600)
    pacer.take(0.0, 1)
    now, at_once = 1_000.0, 0
    while pacer.next_at <= now:
        pacer.take(now, 1)
        at_once += 1
    assert at_once <= 1 + CATCH_UP_SECONDS * 10


def test_units_are_paid_afterwards_and_given_back() -> None:
    pacer = Pacer(1_000)
    pacer.take(0.0, 960)
    assert pacer.next_at == pytest.approx(60 - CATCH_UP_SECONDS)
    pacer.correct(-480)
    assert pacer.next_at == pytest.approx(30 - CATCH_UP_SECONDS)


def test_many_units_a_call_keep_to_the_limit_but_for_one_call() -> None:
    counts = counts_of_minutes(sent_at(10_000, 240, units=300), 240)
    assert max(counts) * 300 <= 10_000 + 300
