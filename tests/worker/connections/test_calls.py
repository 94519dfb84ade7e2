"""The calls of a connection by a fake clock: how many are under way, and what a failure means."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from app.worker import ConnectionClosed, Task, TaskFailed
from app.worker.connections.call_failed import CallFailed, ErrorClass
from app.worker.connections.calls import FIRST_CALLS, SLOWED_SECONDS, UNDECIDED_SECONDS, Calls
from app.worker.connections.circuit import Circuit
from app.worker.connections.evidence import Call
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker.connections.conftest import Clock, asking

OUTAGE = CallFailed(ErrorClass.OUTAGE, "server_error", "lab answers 500", was_received=True)
RATE = CallFailed(ErrorClass.RATE_LIMIT, "rate_limited", "lab answers 429")


class Lab:
    """The calls of a circuit on a fake clock. Tasks are named by a number."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.circuit = Circuit("lab", self.clock)
        self.outcomes: list[str] = []
        self.circuit.report = lambda change: self.outcomes.append(change.outcome)
        self.calls = Calls(self.circuit)

    def begin(self, number: int, is_repeat: bool = False, **task: Any) -> tuple[Task, Call]:
        made = asking(task_id=str(number), **task)
        return made, self.calls.begin(made, "m", is_repeat)

    def succeed(self, begun: tuple[Task, Call]) -> None:
        self.calls.ended()
        self.calls.succeeded(begun[1])

    def fail(self, begun: tuple[Task, Call], failure: CallFailed = OUTAGE) -> BaseException | None:
        """Let a call fail; return what its task is told. None: call again."""
        self.calls.ended()
        try:
            self.calls.failed(*begun, failure)
        except (TaskFailed, ConnectionClosed) as told:
            return told
        return None

    def failing(self, begun: tuple[Task, Call], failure: CallFailed = OUTAGE) -> Callable[[], BaseException | None]:
        """Let a call fail in a thread that waits for the decision; the function gives what its task is told."""
        told: list[BaseException | None] = []
        looks = self.clock.looks
        thread = threading.Thread(target=lambda: told.append(self.fail(begun, failure)), daemon=True)
        thread.start()
        wait_until(lambda: self.clock.looks > looks + 1 or told)

        def result() -> BaseException | None:
            thread.join(LIMIT_SECONDS)
            return told[0]

        return result

    def most(self) -> float:
        return self.calls.most(asking(), "m")


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_few_calls_before_the_first_success(lab: Lab) -> None:
    assert lab.most() == FIRST_CALLS
    lab.succeed(lab.begin(1))
    assert lab.most() == float("inf")


def test_a_failure_beside_a_later_success_is_the_tasks_own(lab: Lab) -> None:
    other, failing = lab.begin(1), lab.begin(2)
    told = lab.failing(failing)
    lab.succeed(other)  # began before the one that failed
    lab.succeed(lab.begin(3))
    assert told() is OUTAGE
    assert lab.outcomes == []


def test_two_failures_close_the_connection_and_harm_nobody(lab: Lab) -> None:
    first, second, third = lab.begin(1), lab.begin(2), lab.begin(3)
    told = lab.failing(first)
    assert isinstance(lab.fail(second), ConnectionClosed)
    assert isinstance(told(), ConnectionClosed)
    assert isinstance(lab.fail(third), ConnectionClosed)  # under way at the closing
    assert lab.outcomes == ["failed"]
    with pytest.raises(ConnectionClosed):
        lab.most()


def test_nobody_waits_for_ever_for_a_decision(lab: Lab) -> None:
    lab.begin(1)  # takes its time
    told = lab.failing(lab.begin(2))
    lab.clock.now += UNDECIDED_SECONDS
    assert isinstance(told(), ConnectionClosed)
    assert lab.outcomes == []  # released, but nothing is closed


def test_the_only_task_calls_again_after_a_second(lab: Lab) -> None:
    told = lab.failing(lab.begin(1))
    lab.clock.now += 1.0
    assert told() is None
    assert isinstance(lab.fail(lab.begin(1, is_repeat=True)), ConnectionClosed)
    assert lab.outcomes == ["failed"]


def test_a_task_that_must_stop_waits_no_longer(lab: Lab) -> None:
    lab.begin(1)
    begun = lab.begin(2)
    told = lab.failing(begun)
    begun[0].stopping.set()
    assert told() is OUTAGE


def test_a_429_slows_the_calls_down_until_they_succeed(lab: Lab) -> None:
    lab.succeed(lab.begin(1))
    burst = [lab.begin(number) for number in range(2, 6)]
    assert [lab.fail(each, RATE) for each in burst] == [None] * 4  # one burst counts once
    assert lab.most() == 1
    assert lab.fail(lab.begin(2), RATE) is None
    for _ in range(3):
        lab.succeed(lab.begin(2))
    assert lab.most() == 4
    assert lab.outcomes == ["slowed"]
    lab.clock.now += SLOWED_SECONDS
    lab.succeed(lab.begin(3))
    assert lab.outcomes == ["slowed", "succeeded"]
    lab.succeed(lab.begin(3))
    assert lab.most() == float("inf")


def test_three_429s_in_a_row_close_it(lab: Lab) -> None:
    lab.succeed(lab.begin(0))
    burst = [lab.begin(number) for number in range(8)]
    assert [lab.fail(each, RATE) for each in burst] == [None] * 8
    assert lab.fail(lab.begin(1), RATE) is None
    assert isinstance(lab.fail(lab.begin(1), RATE), ConnectionClosed)
    assert lab.outcomes == ["slowed", "failed"]


def test_only_the_success_of_a_probe_opens_it(lab: Lab) -> None:
    old = lab.begin(1)
    told = lab.failing(lab.begin(2))
    lab.fail(lab.begin(3))
    told()
    lab.succeed(old)
    with pytest.raises(ConnectionClosed):
        lab.most()
    probing = asking(task_id="2", is_probe=True)
    assert lab.circuit.takes(probing, "m")
    assert lab.calls.most(probing, "m") == float("inf")
    assert isinstance(lab.fail(lab.begin(2, is_probe=True)), ConnectionClosed)
    assert lab.circuit.takes(probing, "m")
    lab.succeed(lab.begin(2, is_probe=True))
    assert lab.most() == float("inf")
    assert lab.outcomes == ["failed", "failed", "succeeded"]
