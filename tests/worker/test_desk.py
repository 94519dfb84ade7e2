"""The desk: how much it takes, what begins, what is renewed, and what is let go."""

import time
from itertools import count

import pytest

from app.worker.held_leases import Desk, Lease
from app.worker.task import Task
from tests.support.waiting import LIMIT_SECONDS

_numbers = count(1)


def lease(seconds: float = 60.0, ago: float = 0.0) -> Lease:
    number = next(_numbers)
    return Lease(Task(str(number), 1, 1, "ANALYZE", 1, {}, f"t.{number}"), seconds, time.monotonic() - ago)


def test_room_opens_in_bulk_and_is_never_more_than_can_be_held() -> None:
    desk = Desk(running=2, waiting=4, answers=100)
    assert desk.room() == 6
    desk.add([lease() for _ in range(6)])
    assert desk.room() == 0
    first, second = desk.begin(), desk.begin()
    assert first
    assert second
    assert desk.begin() is None  # two run
    assert desk.room() == 0  # four still wait
    desk.answered(first)
    assert desk.begin()
    assert desk.room() == 0  # three wait: one more would not pay the asking
    desk.answered(second)
    assert desk.begin()
    assert desk.room() == 2  # two wait, two run


def test_answers_that_cannot_be_reported_take_room() -> None:
    desk = Desk(running=1, waiting=1, answers=3)
    for _ in range(3):
        desk.add([lease()])
        begun = desk.begin()
        assert begun
        desk.answered(begun)
    assert desk.counts() == {"waiting": 0, "running": 0, "unreported": 3}
    assert desk.room() == 0
    desk.forget([begun.task.lease_token])
    assert desk.room() == 1


def test_without_prefetch_room_is_what_could_run_at_once() -> None:
    desk = Desk(running=2, waiting=0, answers=10)
    assert desk.room() == 2
    desk.add([lease(), lease()])
    assert desk.room() == 0
    desk.begin()
    assert desk.begin()
    assert desk.room() == 0


def test_a_task_whose_lease_ran_out_does_not_begin_until_it_is_renewed() -> None:
    desk = Desk(running=3, waiting=3, answers=10)
    old, fresh = lease(seconds=1, ago=2), lease()
    desk.add([old, fresh])
    assert desk.begin() is fresh
    assert desk.begin() is None
    old.renewed(time.monotonic(), 60)
    assert desk.begin() is old


def test_due_are_those_past_a_third_of_their_lease_and_whoever_is_near() -> None:
    desk = Desk(running=1, waiting=10, answers=10)
    due, near, far = lease(60, ago=21), lease(60, ago=16), lease(60, ago=5)
    desk.add([near, far])
    assert desk.due() == []
    desk.add([due])
    assert desk.due() == [near, due]
    running = desk.begin()
    assert running is near
    desk.answered(running)
    assert set(desk.due()) == {near, due}  # an answer not yet reported keeps its lease


def test_the_wait_ends_when_a_lease_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, waits = Desk(running=1, waiting=10, answers=10), []
    monkeypatch.setattr(desk._changed, "wait", waits.append)
    desk.wait_until_due(10)
    desk.add([lease(600)])
    desk.wait_until_due(10)
    desk.wait_until_due(1000)
    assert waits[:2] == [10, 10]
    assert 100 < waits[2] <= 200  # a third of the lease, less what the test took


def test_what_is_taken_away_goes_from_the_line_and_is_told_when_it_runs() -> None:
    desk = Desk(running=1, waiting=10, answers=10)
    desk.add([lease(60, ago=30), lease(60, ago=30)])
    running = desk.begin()
    assert running
    waiting = next(one for one in desk.due() if one is not running)
    desk.taken_away(running)
    desk.taken_away(waiting)
    assert running.task.stopped
    assert desk.counts() == {"waiting": 0, "running": 1, "unreported": 0}
    assert desk.due() == []
    assert desk.close() == []


def test_closing_gives_out_what_has_not_begun_and_begins_nothing_more() -> None:
    desk = Desk(running=1, waiting=10, answers=10)
    desk.add([lease(), lease(), lease()])
    running = desk.begin()
    assert running
    assert len(desk.close()) == 2
    assert desk.begin() is None
    assert desk.room() == 0
    late = lease()
    assert desk.add([late]) == [late]
    assert desk.counts() == {"waiting": 0, "running": 1, "unreported": 0}
    assert desk.wait_until_idle(time.monotonic() + 0.05) == [running]
    desk.answered(running)
    assert desk.wait_until_idle(time.monotonic() + LIMIT_SECONDS) == []


def test_a_report_that_is_settled_before_it_is_noted_leaves_nothing_behind() -> None:
    desk = Desk(running=1, waiting=1, answers=10)
    desk.add([lease()])
    running = desk.begin()
    assert running
    desk.forget([running.task.lease_token])
    desk.answered(running)
    assert desk.counts() == {"waiting": 0, "running": 0, "unreported": 0}
