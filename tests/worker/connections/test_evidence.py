"""Whose failure is a failed call? Sequences of calls, and the verdict on the last one."""

from typing import Any

import pytest

from app.worker.connections.call_failed import CallFailed, ErrorClass
from app.worker.connections.evidence import (
    DENIED_TASKS,
    OWN_AFTER,
    OWN_AFTER_429,
    OWN_AFTER_PROBES,
    Call,
    Evidence,
    Verdict,
)

TASK, CONNECTION, UNDECIDED = Verdict
OUTAGE, ACCESS = ErrorClass.OUTAGE, ErrorClass.ACCESS


def call(task: str, number: int, newest: int | None = None, **kinds: bool) -> Call:
    """The call with this number; when it ended, `newest` was the newest (None: itself)."""
    return Call(task, "m", number, newest=number if newest is None else newest, **kinds)


def failure(error_class: ErrorClass = OUTAGE, **kinds: Any) -> CallFailed:
    return CallFailed(error_class, "server_error", "No.", **{"was_received": True, **kinds})


@pytest.fixture
def evidence() -> Evidence:
    return Evidence()


def test_the_first_failure_is_undecided_and_that_of_another_task_is_the_connections(evidence: Evidence) -> None:
    assert evidence.judge(call("a", 0), failure(), False) == UNDECIDED
    assert evidence.judge(call("a", 1), failure(), False) == UNDECIDED  # the same task again
    assert evidence.judge(call("b", 2), failure(), False) == CONNECTION


def test_a_success_of_a_later_call_makes_it_the_tasks_own(evidence: Evidence) -> None:
    failed = call("a", 5, newest=7)
    assert evidence.judge(failed, failure(), False) == UNDECIDED
    for number in (4, 6, 7):  # these were under way then: they say nothing about the server of now
        evidence.succeeded(call("b", number))
        assert not evidence.disproves(failed)
    evidence.succeeded(call("c", 8))
    assert evidence.disproves(failed)
    assert evidence.judge(call("e", 9), failure(), False) == UNDECIDED  # the failure of a is disproved


def test_calls_that_a_crash_cuts_off_are_not_disproved_by_those_that_ended_before_it(evidence: Evidence) -> None:
    evidence.succeeded(call("b", 3))
    assert evidence.judge(call("a", 1, newest=4), failure(), False) == UNDECIDED
    assert evidence.judge(call("c", 2, newest=4), failure(), False) == CONNECTION


def test_the_only_task_fails_for_the_connection_when_it_called_again(evidence: Evidence) -> None:
    assert evidence.judge(call("a", 0), failure(), True) == UNDECIDED
    assert evidence.judge(call("a", 1, is_repeat=True), failure(), True) == CONNECTION


@pytest.mark.parametrize(("was_received", "last"), [(True, TASK), (False, CONNECTION)])
def test_a_task_that_fails_again_and_again_while_others_succeed_fails_by_itself(
    evidence: Evidence, was_received: bool, last: Verdict
) -> None:
    """As a probe or not; but not if the server was not even reached."""
    failures = [failure(was_received=was_received) for _ in range(OWN_AFTER)]
    for number, each in enumerate(failures[:-1]):
        evidence.judge(call("a", 10 * number), each, False)
        evidence.succeeded(call("b", 10 * number + 1))
    assert evidence.judge_probe(call("a", 100), failures[-1]) == last
    evidence.succeeded(call("a", 101))
    assert evidence.judge_probe(call("a", 102), failure()) == CONNECTION  # it is forgiven


@pytest.mark.parametrize(("was_received", "last"), [(True, TASK), (False, CONNECTION)])
def test_the_only_task_fails_by_itself_after_many_probes(evidence: Evidence, was_received: bool, last: Verdict) -> None:
    verdicts = [
        evidence.judge_probe(call("a", number), failure(was_received=was_received))
        for number in range(OWN_AFTER_PROBES)
    ]
    assert verdicts == [CONNECTION] * (OWN_AFTER_PROBES - 1) + [last]


def test_a_task_that_is_always_too_fast_while_others_succeed_fails_by_itself(evidence: Evidence) -> None:
    assert not any(evidence.slowed(call("a", number)) for number in range(OWN_AFTER_429))  # alone it never counts
    evidence.succeeded(call("b", 100))
    assert evidence.slowed(call("a", 101))
    evidence.succeeded(call("a", 102))
    assert not evidence.slowed(call("a", 103))


@pytest.mark.parametrize("kinds", [{"is_certain": True}, {"wait_seconds": 10.1}])
def test_what_the_server_declares_is_the_connections_at_once(evidence: Evidence, kinds: dict[str, Any]) -> None:
    evidence.succeeded(call("b", 0))
    assert evidence.judge(call("a", 1), failure(**kinds), False) == CONNECTION


def test_a_denial_before_any_success_is_about_the_key(evidence: Evidence) -> None:
    assert evidence.judge(call("a", 0), failure(ACCESS), True) == CONNECTION


def test_a_denial_while_others_are_under_way_waits_for_them(evidence: Evidence) -> None:
    assert evidence.judge(call("a", 0), failure(ACCESS), False) == UNDECIDED
    evidence.succeeded(call("b", 1))
    assert evidence.disproves(call("a", 0))


def test_denials_of_two_tasks_before_any_success_are_about_the_key(evidence: Evidence) -> None:
    assert evidence.judge(call("a", 0), failure(ACCESS), False) == UNDECIDED
    assert evidence.judge(call("b", 1), failure(ACCESS), False) == CONNECTION


@pytest.mark.parametrize(("is_alone", "verdict"), [(True, TASK), (False, UNDECIDED)])
def test_several_denials_in_a_row_are_the_key_and_a_success_begins_anew(
    evidence: Evidence, is_alone: bool, verdict: Verdict
) -> None:
    number = 0
    for _ in range(3):
        evidence.succeeded(call("z", number))
        for _ in range(DENIED_TASKS - 1):
            number += 1
            assert evidence.judge(call(f"task {number}", number), failure(ACCESS), is_alone) == verdict
        number += 1
    assert evidence.judge(call("the last", number), failure(ACCESS), is_alone) == CONNECTION
