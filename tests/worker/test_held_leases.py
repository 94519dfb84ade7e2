"""The held leases: their capacity, which task starts next, and which leases are renewed and removed."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import SimpleNamespace

import pytest

from app.worker import held_leases as module
from app.worker.held_leases import HeldLeases, Lease
from app.worker.task import Task
from tests.support.waiting import LIMIT_SECONDS, wait_until

NOW = 1_000_000.0
_numbers = count(1)


@pytest.fixture(autouse=True)
def _the_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: NOW))


def lease(seconds: float = 60.0, ago: float = 0.0) -> Lease:
    number = next(_numbers)
    return Lease(Task(str(number), 1, 1, "ANALYZE", 1, {}, f"t.{number}"), seconds, NOW - ago)


def test_capacity_opens_in_bulk_and_is_never_more_than_can_be_held() -> None:
    held = HeldLeases(running=2, waiting=4, answers=100)
    assert held.capacity() == 6
    held.add([lease() for _ in range(6)])
    assert held.capacity() == 0
    first, second = held.start_next(), held.start_next()
    assert first
    assert second
    assert held.start_next() is None  # two run
    assert held.capacity() == 0  # four still wait
    held.mark_answered(first)
    assert held.start_next()
    assert held.capacity() == 0  # three wait: one more is not worth a request
    held.mark_answered(second)
    assert held.start_next()
    assert held.capacity() == 2  # two wait, two run


def test_answers_that_cannot_be_reported_take_capacity() -> None:
    held = HeldLeases(running=1, waiting=1, answers=3)
    for _ in range(3):
        held.add([lease()])
        begun = held.start_next()
        assert begun
        held.mark_answered(begun)
    assert held.counts() == {"waiting": 0, "running": 0, "unreported": 3}
    assert held.capacity() == 0
    held.remove([begun.task.lease_token])
    assert held.capacity() == 1


def test_without_prefetch_capacity_is_what_could_run_at_once() -> None:
    held = HeldLeases(running=2, waiting=0, answers=10)
    assert held.capacity() == 2
    held.add([lease(), lease()])
    assert held.capacity() == 0
    held.start_next()
    assert held.start_next()
    assert held.capacity() == 0


def test_a_task_whose_lease_ran_out_does_not_begin_until_it_is_renewed() -> None:
    held = HeldLeases(running=3, waiting=3, answers=10)
    old, fresh = lease(seconds=1, ago=2), lease()
    held.add([old, fresh])
    assert held.start_next() is fresh
    assert held.start_next() is None
    old.extend(NOW, 60)
    assert held.start_next() is old


def test_due_are_those_past_a_third_of_their_lease_and_those_that_are_near() -> None:
    held = HeldLeases(running=1, waiting=10, answers=10)
    due, near, far = lease(60, ago=21), lease(60, ago=16), lease(60, ago=5)
    held.add([near, far])
    assert held.due() == []
    held.add([due])
    assert held.due() == [near, due]
    running = held.start_next()
    assert running is near
    held.mark_answered(running)
    assert set(held.due()) == {near, due}  # a lease is held until its report is sent


def test_the_wait_ends_when_a_lease_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    held, waits = HeldLeases(running=1, waiting=10, answers=10), []
    monkeypatch.setattr(held._has_new, "wait", waits.append)
    held.wait_until_due(10)
    held.add([lease(600)])
    held.wait_until_due(10)
    held.wait_until_due(1000)
    assert waits == [10, 10, 200]  # a third of the lease


def test_leases_that_were_only_released_are_renewed_until_the_release_is_answered() -> None:
    held = HeldLeases(running=1, waiting=10, answers=10)
    held.add([lease(600)])
    surplus = lease(60, ago=30)
    held.mark_released([surplus])
    assert held.due() == [surplus]
    held.remove([surplus.task.lease_token])
    assert held.due() == []


def test_a_renewed_lease_is_due_again_after_a_third_of_its_new_length(monkeypatch: pytest.MonkeyPatch) -> None:
    held = HeldLeases(running=1, waiting=10, answers=10)
    short = lease(60, ago=30)
    held.add([lease(6000), short])
    assert held.due() == [short]
    short.extend(NOW, 30)
    assert held.due() == []
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: NOW + 10))
    assert held.due() == [short]


def test_a_wait_for_capacity_ends_when_a_report_is_settled() -> None:
    held = HeldLeases(running=1, waiting=0, answers=1)
    held.add([lease()])
    begun = held.start_next()
    assert begun
    held.mark_answered(begun)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(held.wait_for_capacity, LIMIT_SECONDS)
        wait_until(lambda: held._wants_capacity)
        held.remove([begun.task.lease_token])
        assert waiting.result(LIMIT_SECONDS)


def test_a_revoked_task_is_removed_if_it_waits_and_stopped_if_it_runs() -> None:
    held = HeldLeases(running=1, waiting=10, answers=10)
    held.add([lease(60, ago=30), lease(60, ago=30)])
    running = held.start_next()
    assert running
    waiting = next(one for one in held.due() if one is not running)
    held.revoke(running)
    held.revoke(waiting)
    assert running.task.stopped
    assert held.counts() == {"waiting": 0, "running": 1, "unreported": 0}
    assert held.due() == []
    assert held.close() == []


def test_closing_returns_the_waiting_tasks_and_starts_nothing_more() -> None:
    held = HeldLeases(running=1, waiting=10, answers=10)
    held.add([lease(), lease(), lease()])
    running = held.start_next()
    assert running
    assert len(held.close()) == 2
    assert held.start_next() is None
    assert held.capacity() == 0
    late = lease()
    assert held.add([late]) == [late]
    assert held.counts() == {"waiting": 0, "running": 1, "unreported": 0}
    assert held.wait_until_idle(NOW + 0.05) == [running]
    held.mark_answered(running)
    assert held.wait_until_idle(NOW + LIMIT_SECONDS) == []


def test_a_report_that_is_settled_before_it_is_noted_leaves_nothing_behind() -> None:
    held = HeldLeases(running=1, waiting=1, answers=10)
    held.add([lease()])
    running = held.start_next()
    assert running
    held.remove([running.task.lease_token])
    held.mark_answered(running)
    assert held.counts() == {"waiting": 0, "running": 0, "unreported": 0}
