"""Reports: which of them count, which are repetitions, and which come too late and are kept once."""

from collections.abc import Callable
from typing import Any

import pytest

from app.domain.leases import Outcome
from app.errors import Invalid, NotFound, ReportRefused
from app.models import Task
from app.services import Services
from app.services.input import edits
from app.services.queue.reports import Report
from tests.services import stories
from tests.services.stories import (
    ERROR,
    OPERATOR,
    TEXT,
    act,
    bring,
    complete,
    fail,
    lease,
    lease_one,
    snapshot,
    task,
    view,
)

LATER = ["at once", "after a retry", "after the end", "after a restage", "after a reset"]


def the_task(services: Services, leased: dict[str, Any]) -> Any:
    """The row of a leased task."""
    return next(row for row in stories.rows_of(services, Task) if row.id == int(leased["id"]))


def move_on(services: Services, batch_id: int, when: str) -> None:
    """Take the batch to a later point of its life."""
    if when == "at once":
        return
    stories.finish_all(services, batch_id)
    if when in ("after a restage", "after a reset"):
        act(services, batch_id, "restage" if when == "after a restage" else "reset")


@pytest.mark.parametrize("when", [when for when in LATER if when != "after a retry"])
def test_the_same_completion_again_is_a_repetition(services: Services, when: str) -> None:
    """Contract 5: recognised first, and answered with the first answer, in any later state of the batch."""
    batch_id = bring(services, "ANALYZING")
    leased = lease_one(services, batch_id)
    complete(services, leased, {"text": "first"})
    move_on(services, batch_id, when)
    before = snapshot(services)
    complete(services, leased, {"text": "second"})
    assert snapshot(services) == before
    assert task(services, leased["id"])["result"] == {"text": "first"}
    assert task(services, leased["id"])["late_results"] == []


@pytest.mark.parametrize("when", LATER)
def test_the_same_failure_again_is_a_repetition(services: Services, when: str) -> None:
    """Contract 5: the answer is the first one, QUEUED for a retry, whatever has happened to the task since."""
    batch_id = bring(services, "ANALYZING")
    leased = lease_one(services, batch_id)
    fail(services, leased, retry_after_seconds=0)
    if when == "after a retry":
        (again,) = [each for each in lease(services, batch_id) if each["id"] == leased["id"]]
        complete(services, again)
    else:
        move_on(services, batch_id, when)
    before = snapshot(services)
    ((verdict,), _) = services.batches.report([failed(leased)])
    assert (verdict.refusal, verdict.status) == (None, "QUEUED")
    assert snapshot(services) == before


def failed(leased: dict[str, Any], **more: Any) -> Report:
    return Report.of(leased["id"], Outcome.FAILED, {"lease_token": leased["lease_token"], "error": ERROR, **more})


def completed(leased: dict[str, Any]) -> Report:
    return Report.of(leased["id"], Outcome.COMPLETED, {"lease_token": leased["lease_token"], "result": TEXT})


def test_the_same_token_with_the_other_outcome_is_refused(services: Services) -> None:
    """Contract 5: 409; neither task nor batch changes, and what was sent is kept."""
    batch_id = bring(services, "ANALYZING", documents=3)
    done, broken, _ = lease(services, batch_id)
    complete(services, done)
    fail(services, broken, retryable=False)
    before, shown = the_task(services, done), view(services, batch_id)
    with pytest.raises(ReportRefused, match="reported the task completed already"):
        fail(services, done, retryable=False)
    with pytest.raises(ReportRefused, match="reported the task failed already"):
        complete(services, broken)
    assert (the_task(services, done), view(services, batch_id)) == (before, shown)
    late = task(services, done["id"])["late_results"]
    assert [(each["outcome"], each["error"], each["result"]) for each in late] == [("failed", ERROR, None)]
    late = task(services, broken["id"])["late_results"]
    assert [(each["outcome"], each["error"], each["result"]) for each in late] == [("completed", None, TEXT)]


def test_a_late_result_is_kept_once(services: Services) -> None:
    """Contract 5: `late_results` of the task, in order of arrival, each report once."""
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = lease_one(services, batch_id)
    act(services, batch_id, "cancel")
    for text in ("first", "second"):
        with pytest.raises(ReportRefused) as refused:
            complete(services, leased, {"text": text})
        assert refused.value.facts == {"task_status": "LEASED", "late_result_kept": True}
    with pytest.raises(ReportRefused):
        fail(services, leased)
    late = task(services, leased["id"])["late_results"]
    assert [(each["attempt"], each["outcome"]) for each in late] == [(1, "completed"), (1, "failed")]
    assert set(late[0]) == {"attempt", "outcome", "result", "error", "at"}
    assert (late[0]["result"], late[0]["error"]) == ({"text": "first"}, None)
    assert view(services, batch_id)["state"] == "FAILED"


def test_a_token_that_was_never_given_out_is_kept_nowhere(services: Services) -> None:
    """Contract 5: a result is kept only if its token was given out for the task."""
    batch_id = bring(services, "ANALYZING", documents=2)
    first, second = lease(services, batch_id)
    before = snapshot(services)
    for token in (
        second["lease_token"],
        "nonsense",
        f"nonsense.{first['id']}.1",
        "",
        first["lease_token"] + "0",
        ":",
        " ",
    ):
        with pytest.raises(ReportRefused, match="never given out") as refused:
            complete(services, {**first, "lease_token": token})
        assert not refused.value.facts["late_result_kept"]
    assert snapshot(services) == before


@pytest.mark.parametrize("task_id", ["4711", "0", "-1", "1.0", "x", "", " 1", "٣", "9" * 30])
def test_a_task_that_is_not_there(services: Services, task_id: str) -> None:
    """Contract 5: 404."""
    bring(services, "ANALYZING")
    with pytest.raises(NotFound):
        services.batches.handle_task_completion(task_id, {"lease_token": "x.1.1", "result": TEXT})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"result": TEXT}, "lease_token"),
        ({"lease_token": 1, "result": TEXT}, "lease_token"),
        ({"lease_token": "x"}, "result"),
        ({"lease_token": "x", "result": "text"}, "result"),
        ({"lease_token": "x", "error": ERROR}, "result"),
    ],
)
def test_a_report_without_a_required_field(services: Services, body: dict[str, Any], field: str) -> None:
    """Contract 3: the report bodies of contract 5; the refusal names the missing field."""
    with pytest.raises(Invalid) as refused:
        services.batches.handle_task_completion("1", body)
    assert set(refused.value.facts["errors"]) == {field}
    with pytest.raises(Invalid):
        services.batches.handle_task_failure("1", {"lease_token": "x", "result": TEXT})


@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_a_report_counts_while_paused(services: Services, outcome: str) -> None:
    """Contract 5: work in flight may finish."""
    batch_id = bring(services, "ANALYZING")
    leased = lease_one(services, batch_id)
    act(services, batch_id, "pause")
    (complete if outcome == "completed" else fail)(services, leased)
    progress = view(services, batch_id)["progress"]["analysis"]
    expected = {"completed": 1, "queued": 1} if outcome == "completed" else {"completed": 0, "queued": 2}
    assert {name: progress[name] for name in expected} == expected
    assert lease(services, batch_id) == []


@pytest.mark.parametrize("kind", ["STAGE", "ANALYZE"])
@pytest.mark.parametrize("then", ["the run is over", "the next run", "reset"])
def test_a_report_of_a_run_that_is_over_does_not_count(services: Services, kind: str, then: str) -> None:
    """Contract 5: reports count in the batch's present run only; the result is kept, and its cost is counted."""
    batch_id = bring(services, "STAGING" if kind == "STAGE" else "ANALYZING", documents=2)
    late, other = lease(services, batch_id)
    if kind == "STAGE":
        fail(services, other, retryable=False)
    else:
        act(services, batch_id, "cancel")
    if then != "the run is over":
        act(services, batch_id, "restage" if then == "the next run" else "reset")
    before, marked = view(services, batch_id), {**the_task(services, late)._mapping, "has_late_answer": True}
    with pytest.raises(ReportRefused):
        complete(services, late)
    services.sweeper.sweep()
    paid = {**before["usage"], "unpriced_calls": int(kind == "ANALYZE" and then != "the next run")}
    assert view(services, batch_id) == {**before, "usage": paid}
    assert dict(the_task(services, late)._mapping) == marked
    assert len(task(services, late["id"])["late_results"]) == 1


def test_reports_of_one_call_are_judged_one_by_one(services: Services) -> None:
    """Contract 5: in order, each by itself; the phase ends after all of them."""
    batch_id, other_id = bring(services, "ANALYZING", documents=3), bring(services, "ANALYZING", documents=1)
    first, second, third = lease(services, batch_id)
    of_other = lease_one(services, other_id)
    sent = [
        completed(first),
        completed(first),
        failed(first),
        failed(second, critical=True),
        completed(third),
        completed({**third, "id": "4711"}),
        completed({**of_other, "lease_token": third["lease_token"]}),
        completed(of_other),
    ]
    verdicts, states = services.batches.report(sent)
    assert [verdict.refusal.status if verdict.refusal else 200 for verdict in verdicts] == [
        200, 200, 409, 200, 200, 404, 409, 200,
    ]  # fmt: skip
    assert states == {batch_id: "FAILED", other_id: "COMPLETED"}
    assert view(services, batch_id)["failure"]["task_id"] == second["id"]
    assert view(services, batch_id)["progress"]["analysis"]["completed"] == 2
    assert len(task(services, first["id"])["late_results"]) == 1


def test_a_thousand_reports_in_one_call(services: Services) -> None:
    """Contract 5: up to 1000 in a call; the state has changed before the last one is answered."""
    batch_id = stories.follow(services, stories.create_ready(services, 1000), "ANALYZING")
    _, states = services.batches.report([completed(each) for each in lease(services, batch_id)])
    assert states == {batch_id: "COMPLETED"}
    assert len(list(services.reads.results.lines(batch_id))) == 1000


@pytest.mark.parametrize(
    "text", ["\u00e9 \U0001f6a6 \u202e", 'quote " back \\ slash', "{}[],:;", "a" * 100_000, "line\nline\t"]
)
def test_any_text_comes_back_as_it_was_sent(services: Services, text: str) -> None:
    """Contract 5: a result is any object."""
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = lease_one(services, batch_id)
    result = {"text": text, "json": {"a": [1, 2.5, None, True, text]}, text[:50]: 1}
    complete(services, leased, result)
    assert task(services, leased["id"])["result"] == result


def test_the_state_has_changed_before_the_last_report_is_answered(services: Services) -> None:
    """Contract 5: in staging and in analysis, for a completion and for a failure."""
    batch_id = bring(services, "STAGING", documents=1)
    _, states = services.batches.report([completed(lease_one(services, batch_id))])
    assert states == {batch_id: "STAGED"} == {batch_id: view(services, batch_id)["state"]}
    act(services, batch_id, "run")
    _, states = services.batches.report([failed(lease_one(services, batch_id), retryable=False)])
    assert states == {batch_id: "FAILED"} == {batch_id: view(services, batch_id)["state"]}


def test_a_report_counts_though_the_batch_is_archived_before_its_event(
    services: Services, another: Callable[..., Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract 5: a report that counted is answered 200, whatever others do between it and the event it causes."""
    batch_id, elsewhere = bring(services, "ANALYZING", documents=1), another()
    leased, settle = lease_one(services, batch_id), services.batches._settle

    def settle_after_others_acted(stands: Any) -> Any:
        assert stands.is_unsettled
        elsewhere.sweeper.sweep()
        edits.archive(elsewhere.batches, batch_id, OPERATOR)
        return settle(stands)

    monkeypatch.setattr(services.batches, "_settle", settle_after_others_acted)
    complete(services, leased)
    assert the_task(services, leased).status == "COMPLETED"
    assert stories.trail(services, batch_id)[-2:] == ["tasks_finished", "archive"]
