"""Failures of a batch: a real run for each failure code, with the task that caused it."""

from typing import Any

import pytest

from app.domain import failures
from app.services import Services
from tests.services import stories
from tests.services.stories import act, audit, bring, complete, create, fail, lease, lease_one, trail, view

Reached = tuple[int, str | None]  # the batch, and the task that caused the failure
CRITICAL = {"code": "no_account", "message": "the key is void"}


def staging_failed(services: Services) -> Reached:
    batch_id = bring(services, "STAGING", documents=3)
    first, second, _ = lease(services, batch_id)
    complete(services, first)
    fail(services, second, retryable=False, error={"code": "unreadable", "message": "no text in it"})
    return batch_id, second["id"]


def staging_failed_by_attempts(services: Services) -> Reached:
    batch_id = bring(services, "STAGING", documents=1, max_attempts=2)
    for _ in range(2):
        leased = lease_one(services, batch_id)
        fail(services, leased, retry_after_seconds=0)
    return batch_id, leased["id"]


def staging_failed_by_poison(services: Services) -> Reached:
    batch_id = bring(services, "STAGING", documents=1, max_attempts=1)
    leased = lease_one(services, batch_id)
    stories.let_leases_run_out(services, [leased])
    services.sweeper.sweep()
    return batch_id, leased["id"]


def nothing_to_analyse(services: Services) -> Reached:
    batch_id = bring(services, "STAGING", documents=2)
    first, second = lease(services, batch_id)
    complete(services, first, {"text": " \n\t"})
    complete(services, second, {"metadata": {"pages": 0}})
    return batch_id, None


def staging_timeout(services: Services) -> Reached:
    batch_id = bring(services, "STAGING", documents=1, staging_timeout_seconds=0)
    services.sweeper.sweep()
    return batch_id, None


def critical_error(services: Services) -> Reached:
    batch_id = bring(services, "ANALYZING", documents=3)
    first, second, _ = lease(services, batch_id)
    fail(services, first, retry_after_seconds=0)  # an ordinary failure, which does not cause it
    fail(services, second, critical=True, error=CRITICAL)
    return batch_id, second["id"]


def failure_limit(services: Services) -> Reached:
    batch_id = bring(services, "ANALYZING", documents=4, max_failed_tasks=1)
    for leased in lease(services, batch_id, most=2):
        assert view(services, batch_id)["state"] == "ANALYZING"
        fail(services, leased, retryable=False)
    return batch_id, None


def all_tasks_failed(services: Services) -> Reached:
    batch_id = bring(services, "ANALYZING", documents=2)
    for leased in lease(services, batch_id):
        assert view(services, batch_id)["state"] == "ANALYZING"
        fail(services, leased, retryable=False)
    return batch_id, None


def expired(services: Services) -> Reached:
    batch_id = bring(services, "STAGED")
    act(services, batch_id, "run", deadline_at="2026-01-01T00:00:00Z")
    return batch_id, None


def invalid_input(services: Services) -> Reached:
    batch_id = stories.create_of_file(services, b"no json\nno json")
    services.sweeper.sweep()
    return batch_id, None


def cancelled(services: Services) -> Reached:
    batch_id = bring(services, "ANALYZING")
    act(services, batch_id, "cancel")
    return batch_id, None


def cancelled_while_paused(services: Services) -> Reached:
    batch_id = bring(services, "PAUSED")
    act(services, batch_id, "cancel")
    return batch_id, None


WAYS: list[tuple[Any, str, str, str]] = [
    (staging_failed, "staging_failed", "staging_failed", "no text in it"),
    (staging_failed_by_attempts, "staging_failed", "staging_failed", "no answer"),
    (staging_failed_by_poison, "staging_failed", "staging_failed", "The lease ran out 1 times"),
    (nothing_to_analyse, "nothing_to_analyse", "staging_failed", "no document contained text"),
    (staging_timeout, "staging_timeout", "staging_failed", "no lease and no report"),
    (critical_error, "critical_error", "critical_error", "the key is void"),
    (failure_limit, "failure_limit", "critical_error", "2 tasks failed; the limit is 1."),
    (all_tasks_failed, "all_tasks_failed", "critical_error", "All 2 tasks of the run failed."),
    (expired, "expired", "critical_error", "not finished by its deadline"),
    (invalid_input, "invalid_input", "staging_failed", "errors in it: 2."),
    (cancelled, "cancelled", "cancel", "Cancelled on request."),
    (cancelled_while_paused, "cancelled", "cancel", "Cancelled on request."),
]


def test_each_failure_code_is_reached_here() -> None:
    assert {code for _, code, _, _ in WAYS} == set(failures.MESSAGES)


@pytest.mark.parametrize(("reach", "code", "trigger", "message"), WAYS, ids=[way[0].__name__ for way in WAYS])
def test_a_failure_has_its_code_and_its_task(
    services: Services, reach: Any, code: str, trigger: str, message: str
) -> None:
    """Contract 2: the failure codes; `failure` is `{"code","message","task_id"}`."""
    batch_id, task_id = reach(services)
    batch = view(services, batch_id)
    assert batch["state"] == "FAILED"
    assert batch["failure"]["code"] == code
    assert set(batch["failure"]) == {"code", "message", "task_id"}
    assert message in batch["failure"]["message"]
    assert batch["failure"]["task_id"] == task_id
    assert batch["finished_at"] == batch["updated_at"]
    assert batch["allowed_actions"] == ["restage", "reset"]
    row = audit(services, batch_id)[-1]
    assert (row["trigger"], row["kind"]) == (trigger, "action" if trigger == "cancel" else "event")
    if row["kind"] == "event":
        assert (row["actor"], row["context"], row["reason"]) == (
            "system",
            {"failure": code, **({"task_id": task_id} if task_id else {})},
            batch["failure"]["message"],
        )
    services.sweeper.sweep()
    assert view(services, batch_id) == batch
    assert lease(services, batch_id) == []


@pytest.mark.parametrize("again", ["restage", "reset"])
@pytest.mark.parametrize("reach", [critical_error, nothing_to_analyse, cancelled], ids=lambda way: way.__name__)
def test_a_failure_is_forgotten_with_the_next_beginning(services: Services, reach: Any, again: str) -> None:
    """Contract 2: `restage` is also the retry after a failure; it and `reset` clear the failure and the times."""
    batch_id, _ = reach(services)
    act(services, batch_id, again)
    batch = view(services, batch_id)
    assert [batch[name] for name in ("failure", "staged_at", "started_at", "finished_at")] == [None] * 4
    if again == "reset":
        act(services, batch_id, "stage")
    stories.finish_all(services, batch_id)
    act(services, batch_id, "run")
    stories.finish_all(services, batch_id)
    assert view(services, batch_id)["state"] == "COMPLETED"


def test_cancel_keeps_its_reason(services: Services) -> None:
    """Contract 2: `cancel` ends in FAILED with code `cancelled`; the caller's reason is its message."""
    batch_id = bring(services, "ANALYZING")
    act(services, batch_id, "cancel", reason="wrong prompt")
    assert view(services, batch_id)["failure"] == {"code": "cancelled", "message": "wrong prompt", "task_id": None}
    assert audit(services, batch_id)[-1]["reason"] == "wrong prompt"


def test_one_document_without_text_is_no_failure(services: Services) -> None:
    """Contract 2: `nothing_to_analyse` needs that no document at all led to an analysis task."""
    batch_id = bring(services, "STAGING", documents=2)
    empty, full = lease(services, batch_id)
    complete(services, empty, {"text": ""})
    complete(services, full)
    batch = view(services, batch_id)
    assert (batch["state"], batch["progress"]["analysis"]["total"]) == ("STAGED", 1)


def test_fewer_failures_than_the_limit_complete_the_batch(services: Services) -> None:
    """Contract 2: more than `max_failed_tasks` failed tasks fail the run; exactly as many do not."""
    batch_id = bring(services, "ANALYZING", documents=3, max_failed_tasks=1)
    first, *others = lease(services, batch_id)
    fail(services, first, retryable=False)
    for leased in others:
        complete(services, leased)
    batch = view(services, batch_id)
    assert (batch["state"], batch["failure"]) == ("COMPLETED", None)
    assert batch["progress"]["analysis"] == {
        "total": 3,
        "queued": 0,
        "leased": 0,
        "completed": 2,
        "failed": 1,
        "truncated": 0,
    }


def test_a_limit_of_none_fails_with_the_first_task(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=2, max_failed_tasks=0)
    fail(services, lease(services, batch_id)[1], retryable=False)
    assert view(services, batch_id)["failure"]["code"] == "failure_limit"


def test_a_retry_does_not_count_as_a_failed_task(services: Services) -> None:
    """Contract 2 and 5: the limit counts tasks that are FAILED, not attempts."""
    batch_id = bring(services, "ANALYZING", documents=2, max_failed_tasks=0)
    fail(services, lease_one(services, batch_id), retry_after_seconds=0)
    assert view(services, batch_id)["state"] == "ANALYZING"
    stories.finish_all(services, batch_id)
    assert view(services, batch_id)["state"] == "COMPLETED"


@pytest.mark.parametrize("how", ["critical", "limit"])
def test_a_failure_while_paused_is_judged_at_resume(services: Services, how: str) -> None:
    """Contract 2: events are raised in ANALYZING only; `resume` makes the batch ANALYZING and at once FAILED."""
    batch_id = bring(services, "ANALYZING", documents=3, max_failed_tasks=0)
    leased = lease_one(services, batch_id)
    act(services, batch_id, "pause")
    fail(services, leased, critical=how == "critical", retryable=False)
    services.sweeper.sweep()
    assert (view(services, batch_id)["state"], view(services, batch_id)["failure"]) == ("PAUSED", None)
    act(services, batch_id, "resume")
    code = "critical_error" if how == "critical" else "failure_limit"
    assert view(services, batch_id)["failure"]["code"] == code
    assert trail(services, batch_id)[-2:] == ["resume", "critical_error"]


def test_staging_with_a_held_lease_does_not_time_out(services: Services) -> None:
    """Contract 2: `staging_timeout` occurs only without any report or lease."""
    batch_id = create(services, documents=1, staging_timeout_seconds=0)
    act(services, batch_id, "stage")
    leased = lease_one(services, batch_id)
    services.sweeper.sweep()
    assert view(services, batch_id)["state"] == "STAGING"
    services.queue.release([(leased["id"], leased["lease_token"])])
    services.sweeper.sweep()
    assert view(services, batch_id)["failure"]["code"] == "staging_timeout"


def test_staging_does_not_time_out_before_its_time(services: Services) -> None:
    """Contract 2: an hour, unless the batch has another value."""
    batch_id = bring(services, "STAGING", documents=1)
    services.sweeper.sweep()
    assert view(services, batch_id)["state"] == "STAGING"
    assert view(services, batch_id)["options"]["staging_timeout_seconds"] == 3600
