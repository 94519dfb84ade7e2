"""Contract 5: each attempt of a task that has ended is kept: when, by which worker, how, and what it used."""

from typing import Any

from app.domain.attempts import LONGEST_CODE
from app.domain.times import rfc3339
from app.models import Document, Task
from app.services import Services
from app.services.input import erasure
from tests.services import stories
from tests.services.stories import ERROR, bring, complete, fail, lease_one, let_leases_run_out, rows_of, task

USAGE = {"input_tokens": 12, "output_tokens": 3, "cost": 0.5, "latency_ms": 390}


def attempts(services: Services, leased: dict[str, Any]) -> list[dict[str, Any]]:
    return list(task(services, leased["id"])["attempts"])


def outcomes(services: Services, leased: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(each["attempt"], each["outcome"], each["code"]) for each in attempts(services, leased)]


def again(services: Services, batch_id: int) -> dict[str, Any]:
    waiting = [each for each in stories.tasks_of(services, batch_id) if each["status"] == "QUEUED"]
    stories.let_waits_end(services, waiting)
    return lease_one(services, batch_id)


def test_a_failure_and_an_answer(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = lease_one(services, batch_id)
    fail(services, leased, error={**ERROR, "usage": {**USAGE, "cost": None}})
    complete(services, again(services, batch_id), {"text": "an answer", "usage": USAGE})
    first, second = attempts(services, leased)
    amounts = {"input_tokens": 12, "output_tokens": 3, "latency_ms": 390}
    assert first.pop("at") < second["at"]
    assert first == {"attempt": 1, "outcome": "failed", "code": "timeout", "worker": "w", "cost": None, **amounts}
    (row,) = (each for each in rows_of(services, Task) if str(each.id) == leased["id"])
    assert second.pop("at") == rfc3339(row.finished_at)
    assert second == {"attempt": 2, "outcome": "completed", "code": None, "worker": "w", "cost": 0.5, **amounts}


def test_a_lease_that_ran_out_and_its_report_that_counts(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = lease_one(services, batch_id)
    let_leases_run_out(services, [leased])
    services.sweeper.sweep()
    assert outcomes(services, leased) == [(1, "ran_out", None)]
    complete(services, leased)
    assert outcomes(services, leased) == [(1, "ran_out", None), (1, "completed", None)]


def test_a_lease_that_is_handed_back_is_no_attempt(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = lease_one(services, batch_id)
    services.queue.release([(leased["id"], leased["lease_token"])])
    assert attempts(services, leased) == []
    complete(services, again(services, batch_id))
    assert outcomes(services, leased) == [(1, "completed", None)]


def test_a_report_that_is_repeated_adds_nothing(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = lease_one(services, batch_id)
    for _ in range(2):
        complete(services, leased)
    assert outcomes(services, leased) == [(1, "completed", None)]


def test_a_code_is_cut_and_may_hold_anything(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = lease_one(services, batch_id)
    code = "a\0b\nc" + "d" * 1000
    fail(services, leased, error={"code": code, "message": "m"})
    assert outcomes(services, leased) == [(1, "failed", code[:LONGEST_CODE])]


def test_what_is_erased_has_no_attempts(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = lease_one(services, batch_id)
    fail(services, leased)
    erasure.erase_document(services.batches, batch_id, rows_of(services, Document)[0].id, stories.OPERATOR)
    assert attempts(services, leased) == []
