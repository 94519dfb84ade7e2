"""The circuit: closed by a failure, opened by a probe, in step with the service and with what other workers find."""

from itertools import pairwise
from typing import Any

import pytest

from app.worker import ConnectionClosed
from app.worker.connections.call_failed import CallFailed, ErrorClass
from app.worker.connections.circuit import DISPUTE_SECONDS, PROBE_SECONDS, Change, Circuit
from tests.worker.connections.conftest import Clock, asking

REFUSED = CallFailed(ErrorClass.OUTAGE, "no_answer", "lab gives no complete answer")
OF_MODEL = CallFailed(ErrorClass.MODEL, "request_refused", "lab does not know m", model="m")
CLOSED: dict[str | None, dict[str, Any]] = {None: {"class": "outage", "reason": "another worker says so"}}
PROBING = asking(task_id="probe", is_probe=True)


class Told(Circuit):
    """A circuit on a fake clock, whose changes the service learns at once."""

    def __init__(self) -> None:
        self.time = Clock()
        super().__init__("lab", self.time)
        self.changes: list[Change] = []
        self.report = self._learn

    def _learn(self, change: Change) -> None:
        self.changes.append(change)
        self.answered()

    def listed(self, closed: dict[str | None, dict[str, Any]]) -> None:
        """Take over an answer of the service to a request of just now."""
        self.time.now += 1.0
        self.service_says(closed, self.time.now)

    @property
    def outcomes(self) -> list[str]:
        return [change.outcome for change in self.changes]


@pytest.fixture
def circuit() -> Told:
    return Told()


def test_it_is_open_at_first(circuit: Told) -> None:
    assert circuit.takes(asking(), "m")
    circuit.require_open(asking(), "m")
    assert circuit.begin(asking(), "m") is False
    assert (circuit.is_offered, circuit.changes) == (True, [])


def test_a_failure_closes_it_for_every_task(circuit: Told) -> None:
    circuit.fail(REFUSED, "m")
    circuit.fail(REFUSED, "m")  # of a call that was under way: too late to count
    assert not circuit.takes(asking(), "m")
    assert circuit.is_closed_for(asking(), "another model")
    with pytest.raises(ConnectionClosed, match="no complete answer"):
        circuit.begin(asking(), "m")
    assert circuit.changes == [Change("failed", None, ErrorClass.OUTAGE, REFUSED.message, None)]
    assert circuit.is_offered  # the service withholds the tasks by itself


def test_an_unknown_model_closes_this_model_alone(circuit: Told) -> None:
    circuit.fail(OF_MODEL, "m")
    assert not circuit.takes(asking(), "m")
    assert circuit.takes(asking(), "another")
    assert [change.model for change in circuit.changes] == ["m"]


def test_one_probe_at_a_time_opens_it(circuit: Told) -> None:
    circuit.fail(REFUSED, "m")
    assert circuit.takes(PROBING, "m")
    assert circuit.begin(PROBING, "m")
    assert not circuit.takes(asking(task_id="another", is_probe=True), "m")
    circuit.fail(REFUSED, "m", is_probe=True)
    assert not circuit.takes(asking(), "m")
    assert circuit.takes(PROBING, "m")
    circuit.open("m")
    assert circuit.takes(asking(), "m")
    assert circuit.outcomes == ["failed", "failed", "succeeded"]


def test_a_probe_that_ends_without_a_verdict_makes_room_for_the_next(circuit: Told) -> None:
    circuit.fail(REFUSED, "m")
    assert circuit.takes(PROBING, "m")
    circuit.begin(PROBING, "m")
    circuit.ended(PROBING, "m", has_worked=False)
    assert circuit.takes(asking(task_id="another", is_probe=True), "m")
    circuit.ended(asking(task_id="another"), "m", has_worked=True)  # a handler that makes no calls of its own
    assert circuit.outcomes == ["failed", "succeeded"]


def test_it_follows_what_the_service_says(circuit: Told) -> None:
    circuit.listed(CLOSED)
    with pytest.raises(ConnectionClosed, match="another worker says so"):
        circuit.require_open(asking(), "m")
    circuit.listed({})
    assert circuit.takes(asking(), "m")
    assert circuit.changes == []


def test_an_answer_that_is_older_than_a_change_here_says_nothing(circuit: Told) -> None:
    circuit.time.now = 10.0
    circuit.fail(REFUSED, "m")
    circuit.service_says({}, asked_at=9.0)
    assert circuit.is_closed_for(asking(), "m")
    circuit.takes(PROBING, "m")
    circuit.open("m")
    circuit.service_says(CLOSED, asked_at=9.0)
    assert not circuit.is_closed_for(asking(), "m")


def test_a_change_that_the_service_has_not_learnt_comes_before_its_answers(circuit: Told) -> None:
    circuit.report = circuit.changes.append
    circuit.fail(REFUSED, "m")
    circuit.listed({})
    assert not circuit.takes(asking(), "m")
    circuit.answered()
    circuit.listed({})
    assert circuit.takes(asking(), "m")


def test_what_another_worker_opened_is_tried_with_one_task(circuit: Told) -> None:
    circuit.fail(REFUSED, "m")
    circuit.listed(CLOSED)
    circuit.listed({})
    assert circuit.is_offered
    assert circuit.takes(asking(), "m")
    assert not circuit.takes(asking(task_id="2"), "m")
    assert not circuit.is_offered
    assert circuit.begin(asking(), "m")
    circuit.open("m")
    assert circuit.takes(asking(task_id="2"), "m")


def test_a_worker_that_fails_alone_waits_longer_each_time_and_seldom_reports(circuit: Told) -> None:
    circuit.fail(REFUSED, "m")
    tried = []
    for _ in range(200):
        circuit.listed({})
        if circuit.is_offered and circuit.takes(asking(), "m"):
            tried.append(round(circuit.time.now))
            circuit.begin(asking(), "m")
            circuit.fail(REFUSED, "m", is_probe=True)
    waits = [after - before for before, after in pairwise(tried)]
    assert waits == [2, 4, 8, 16, 30, 30, 30, 30, 30]
    assert circuit.outcomes == ["failed"] * (1 + len(circuit.changes[1:]))
    assert len(circuit.changes) <= 1 + 200 / DISPUTE_SECONDS


def test_a_probe_that_never_begins_is_replaced(circuit: Told) -> None:
    circuit.fail(REFUSED, "m")
    circuit.listed({})
    assert circuit.takes(asking(), "m")  # and its lease is lost
    assert not circuit.takes(asking(task_id="2"), "m")
    circuit.time.now += PROBE_SECONDS
    assert circuit.takes(asking(task_id="2"), "m")


def test_a_call_without_a_task_is_reported_and_opens_nothing(circuit: Told) -> None:
    circuit.fail(REFUSED, "m")
    circuit.checked(None)
    assert circuit.is_closed_for(asking(), "m")
    circuit.checked(REFUSED)
    assert circuit.outcomes == ["failed", "succeeded", "failed"]


@pytest.mark.parametrize(("error_class", "known"), [("access", "access"), ("nonsense", "outage")])
def test_a_handler_closes_it_by_an_exception(circuit: Told, error_class: str, known: str) -> None:
    circuit.closed_by(asking(), "m", ConnectionClosed("lab", "No key.", error_class, retry_after_seconds=7))
    assert circuit.changes == [Change("failed", None, ErrorClass(known), "No key.", 7)]
