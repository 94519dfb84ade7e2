"""Batches that cannot go on for closed connections: paused by system:connection, and resumed when these work again."""

from typing import Any

import pytest

from app.domain.connection.circuits import ErrorClass
from app.services import Services
from app.services.input import edits
from tests.services.stories import (
    OPERATOR,
    act,
    ask,
    audit,
    complete,
    lease,
    let_next_try_come,
    let_outage_last,
    report_calls,
    state_of,
    trail,
)
from tests.services.test_connections import TWO, analyzing, called, grant, probes
from tests.support.row_locks import HoldRow

ONE = [("openai", "gpt-5")]
CAN = ["openai/*", "stage"]
OPENAI: dict[str, Any] = {"connection": "openai"}


@pytest.fixture(autouse=True)
def _fresh_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.queue.known_work.CANDIDATES_SECONDS", 0.0)


def last(services: Services, batch_id: int) -> dict[str, Any]:
    return audit(services, batch_id)[-1]


def paused(services: Services, **options: Any) -> int:
    """Make a batch that the service paused, since its key is not accepted."""
    batch_id = analyzing(services, ONE, **options)
    report_calls(services, "failed", error_class=ErrorClass.ACCESS, message="the key is not valid", **OPENAI)
    assert state_of(services, batch_id) == "PAUSED"
    return batch_id


def test_an_outage_pauses_after_its_time_and_the_end_of_it_resumes(services: Services) -> None:
    """Two changes, two audit rows, both by system:connection."""
    batch_id = analyzing(services, ONE)
    report_calls(services, "failed", **OPENAI)
    let_outage_last(services, batch_id, 590)
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "ANALYZING"
    let_outage_last(services, batch_id, 601)
    services.sweeper.sweep()
    services.sweeper.sweep()
    row = last(services, batch_id)
    names = ("trigger", "kind", "from_state", "to_state", "actor", "role")
    assert [row[name] for name in names] == ["pause", "action", "ANALYZING", "PAUSED", "system:connection", "system"]
    assert "Connection 'openai' has been closed since " in row["reason"]
    assert row["reason"].endswith("(outage): connection refused")
    assert row["context"]["connections"] == [{"connection": "openai", "model": None, "class": "outage"}]
    report_calls(services, "succeeded", **OPENAI)
    row = last(services, batch_id)
    assert [row[name] for name in names] == ["resume", "action", "PAUSED", "ANALYZING", "system:connection", "system"]
    assert row["reason"] == "Connection 'openai' can be called again."
    services.sweeper.sweep()
    assert trail(services, batch_id)[-3:] == ["run", "pause", "resume"]
    assert called(grant(services)) == {"gpt-5": 4}


@pytest.mark.parametrize("pause_after", [None, 3600])
def test_the_batch_says_how_long_it_waits(services: Services, pause_after: int | None) -> None:
    batch_id = analyzing(services, ONE, pause_after_outage_seconds=pause_after)
    report_calls(services, "failed", **OPENAI)
    let_outage_last(services, batch_id, 3000)
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "ANALYZING"


@pytest.mark.parametrize("named", [{"error_class": "access"}, {"error_class": "model", "model": "gpt-5"}], ids=str)
def test_what_a_person_has_to_mend_pauses_at_once(services: Services, named: dict[str, Any]) -> None:
    """Before the worker's report is answered, and not FAILED."""
    batch_id = analyzing(services, ONE, pause_after_outage_seconds=None)
    report_calls(services, "failed", message="it is not accepted", **OPENAI, **named)
    row = last(services, batch_id)
    assert (row["trigger"], row["actor"]) == ("pause", "system:connection")
    assert row["reason"].endswith(f"({named['error_class']}): it is not accepted")


def test_another_connection_that_works_goes_on_first(services: Services) -> None:
    batch_id = analyzing(services, TWO, documents=2)
    report_calls(services, "failed", error_class=ErrorClass.ACCESS, **OPENAI)
    assert state_of(services, batch_id) == "ANALYZING"
    granted = grant(services)
    assert called(granted) == {"m": 2}
    complete(services, granted.tasks[0])
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "ANALYZING"  # a worker holds the other task
    complete(services, granted.tasks[1])
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "PAUSED"


def test_two_closed_connections_of_which_one_may_come_back_soon(services: Services) -> None:
    batch_id = analyzing(services, TWO)
    report_calls(services, "failed", connection="local")
    report_calls(services, "failed", error_class=ErrorClass.ACCESS, **OPENAI)
    assert state_of(services, batch_id) == "ANALYZING"
    let_outage_last(services, batch_id, 601)
    services.sweeper.sweep()
    row = last(services, batch_id)
    assert [each["connection"] for each in row["context"]["connections"]] == ["local", "openai"]
    report_calls(services, "succeeded", connection="local")
    assert state_of(services, batch_id) == "ANALYZING"
    assert called(grant(services, ["local/*"])) == {"m": 4}


def test_a_call_without_a_task_tries_what_a_paused_batch_waits_for(services: Services) -> None:
    """If the server answers, the batch goes on, and one of its tasks is the next probe."""
    batch_id = paused(services)
    assert grant(services, CAN).probe == []
    let_next_try_come(services)
    assert grant(services, ["local/*", "stage"]).probe == []
    assert grant(services).probe == []  # a worker of the release before
    granted = grant(services, CAN)
    assert (granted.tasks, granted.probe) == ([], ["openai"])
    assert grant(services, CAN).probe == []  # claimed
    (row,) = report_calls(services, "succeeded", **OPENAI)
    assert row["state"] == "closed"
    assert state_of(services, batch_id) == "ANALYZING"
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "ANALYZING"
    first = grant(services)
    assert len(first.tasks) == len(probes(first)) == 1
    assert grant(services).tasks == []
    report_calls(services, "succeeded", **OPENAI)
    assert called(grant(services)) == {"gpt-5": 3}
    assert trail(services, batch_id)[-2:] == ["pause", "resume"]


def test_a_probe_task_that_fails_pauses_again_and_waits_longer(services: Services) -> None:
    """The server lists its models, but does not answer: the batch is not resumed every half a minute."""
    batch_id = paused(services)
    for failures in (2, 3):
        let_next_try_come(services)
        assert grant(services, CAN).probe == ["openai"]
        report_calls(services, "succeeded", **OPENAI)
        (leased,) = grant(services).tasks
        (row,) = report_calls(services, "failed", error_class=ErrorClass.ACCESS, **OPENAI)
        services.queue.release([(leased["id"], leased["lease_token"])])
        assert (row["failures"], state_of(services, batch_id)) == (failures, "PAUSED")


def test_a_failed_call_without_a_task_keeps_the_batch_paused(services: Services) -> None:
    batch_id = paused(services)
    let_next_try_come(services)
    assert grant(services, CAN).probe == ["openai"]
    (row,) = report_calls(services, "failed", error_class=ErrorClass.ACCESS, **OPENAI)
    assert (row["failures"], state_of(services, batch_id)) == (2, "PAUSED")


def test_a_call_without_a_task_is_the_answer_for_one_closed_model_too(services: Services) -> None:
    batch_id = analyzing(services, ONE)
    report_calls(services, "failed", error_class=ErrorClass.MODEL, model="gpt-5", **OPENAI)
    assert state_of(services, batch_id) == "PAUSED"
    let_next_try_come(services)
    assert grant(services, CAN).probe == ["openai"]
    report_calls(services, "succeeded", **OPENAI)
    assert state_of(services, batch_id) == "ANALYZING"
    assert len(probes(grant(services))) == 1


def test_no_batch_waits_for_it_so_no_worker_calls(services: Services) -> None:
    report_calls(services, "failed", **OPENAI)
    let_next_try_come(services)
    assert grant(services, CAN).probe == []


def test_a_batch_may_wait_for_a_person(services: Services) -> None:
    batch_id = paused(services, auto_resume=False)
    report_calls(services, "succeeded", **OPENAI)
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "PAUSED"


def test_a_person_who_acts_is_not_overruled(services: Services) -> None:
    """Only the pause of the service itself is undone by it; a rename changes nothing."""
    paused_again, renamed = analyzing(services, ONE), analyzing(services, ONE)
    paused(services)
    assert [state_of(services, each) for each in (paused_again, renamed)] == ["PAUSED"] * 2
    act(services, paused_again, "resume")
    act(services, paused_again, "pause")
    edits.rename(services.batches, renamed, {"name": "another"}, OPERATOR)
    report_calls(services, "succeeded", **OPENAI)
    services.sweeper.sweep()
    assert [state_of(services, each) for each in (paused_again, renamed)] == ["PAUSED", "ANALYZING"]


def test_resume_makes_the_next_probe_due(services: Services) -> None:
    """And the batch is paused again only if that fails."""
    batch_id = paused(services)
    assert lease(services, batch_id) == []
    act(services, batch_id, "resume")
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "ANALYZING"
    granted = grant(services)
    assert len(granted.tasks) == len(probes(granted)) == 1
    report_calls(services, "failed", error_class=ErrorClass.ACCESS, **OPENAI)
    assert trail(services, batch_id)[-3:] == ["pause", "resume", "pause"]


def test_run_makes_the_next_probe_due_too(services: Services) -> None:
    report_calls(services, "failed", error_class=ErrorClass.ACCESS, **OPENAI)
    batch_id = analyzing(services, ONE)
    assert len(probes(grant(services))) == 1
    report_calls(services, "failed", error_class=ErrorClass.ACCESS, **OPENAI)
    assert state_of(services, batch_id) == "PAUSED"


def test_the_sweeper_resumes_what_a_crash_left(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = paused(services)
    with monkeypatch.context() as patched:
        patched.setattr(services.outages, "settle", lambda: None)
        report_calls(services, "succeeded", **OPENAI)
    assert state_of(services, batch_id) == "PAUSED"
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "ANALYZING"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_locked_batch_gets_one_request(services: Services, hold_row: HoldRow) -> None:
    """Contract 4: it is paused when the lock is gone; meanwhile the sweeper does not ask again and again."""
    batch_id = analyzing(services, ONE)
    with hold_row(batch_id):
        report_calls(services, "failed", error_class=ErrorClass.ACCESS, **OPENAI)
        services.sweeper.sweep()
        services.sweeper.sweep()
        assert len(services.reads.requests.page(batch_id)[0]) == 1
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "PAUSED"
    assert trail(services, batch_id).count("pause") == 1


def test_a_batch_changed_meanwhile_is_left_alone(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that was read is in the request."""
    batch_id = paused(services)
    decide, seen = services.batches.decide, []

    def after_another(batch: int, action: str, order: Any) -> Any:
        if not seen:
            seen.append(action)
            assert ask(services, batch, "resume")["success"]
            assert ask(services, batch, "pause")["success"]
        return decide(batch, action, order)

    monkeypatch.setattr(services.outages._batches, "decide", after_another)
    report_calls(services, "succeeded", **OPENAI)
    assert seen
    assert state_of(services, batch_id) == "PAUSED"
