"""What calls use: on the task, in the sums of the run, and by prompt and model; counted once, late or not."""

from itertools import product
from typing import Any

import pytest

from app.domain.leases import Outcome
from app.errors import ReportRefused
from app.models import UsageCounts
from app.services import Services
from app.services.queue.reports import Report
from tests.services.stories import (
    ERROR,
    act,
    bring,
    complete,
    create_ready,
    fail,
    finish_all,
    follow,
    lease,
    lease_one,
    let_leases_run_out,
    rows_of,
    task,
    view,
)

USAGE = {"input_tokens": 100, "output_tokens": 20, "cost": 0.25, "latency_ms": 800}
NOTHING = {"input_tokens": 0, "output_tokens": 0, "cost": 0.0}
ONCE = {"input_tokens": 100, "output_tokens": 20, "cost": 0.25}
TWICE = {"input_tokens": 200, "output_tokens": 40, "cost": 0.5}
PRICED = {"unpriced_calls": 0}  # all calls had a cost
SAID: dict[str, Any] = {"text": "an answer", "usage": USAGE}


def used(services: Services, batch_id: int) -> dict[str, Any]:
    found: dict[str, Any] = view(services, batch_id)["usage"]
    return found


def fail_with(services: Services, leased: dict[str, Any], usage: Any, **more: Any) -> None:
    fail(services, leased, error={**ERROR, "usage": usage}, retry_after_seconds=0, **more)


def test_a_tasks_usage_is_that_of_all_its_attempts(services: Services) -> None:
    """Tokens and cost are added up over the attempts; the latency is the last one's."""
    batch_id = bring(services, "ANALYZING", documents=1)
    first = lease_one(services, batch_id)
    fail_with(services, first, {**USAGE, "latency_ms": 30_000})
    assert used(services, batch_id) == {**ONCE, **PRICED}
    complete(services, lease_one(services, batch_id), SAID)
    assert task(services, first["id"])["usage"] == {**TWICE, **PRICED, "latency_ms": 800}
    assert used(services, batch_id) == {**TWICE, **PRICED}


def test_a_report_without_a_latency_leaves_the_last_one(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=1)
    first = lease_one(services, batch_id)
    fail_with(services, first, USAGE)
    complete(services, lease_one(services, batch_id), {"usage": {"input_tokens": 1}})
    assert task(services, first["id"])["usage"] == {**ONCE, "input_tokens": 101, "unpriced_calls": 1, "latency_ms": 800}


@pytest.mark.parametrize(
    "usage", [None, 7, "x", [], {"input_tokens": "many", "cost": -1, "latency_ms": 1e99}], ids=repr
)
@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_junk_breaks_no_report(services: Services, usage: Any, outcome: str) -> None:
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = lease_one(services, batch_id)
    if outcome == "completed":
        complete(services, leased, {"text": "x", "usage": usage})
    else:
        fail_with(services, leased, usage)
    # A failed call counts as one of unknown cost if its usage is reported: it may have been paid for.
    unpriced = outcome == "completed" or isinstance(usage, dict)
    assert used(services, batch_id) == {**NOTHING, "unpriced_calls": int(unpriced)}
    shown = task(services, leased["id"])["usage"]
    assert shown == {**NOTHING, "unpriced_calls": int(unpriced), "latency_ms": None}


def test_the_same_report_again_is_paid_for_once(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=2)
    leased, _ = lease(services, batch_id)
    for _ in range(3):
        complete(services, leased, SAID)
    assert used(services, batch_id) == {**ONCE, **PRICED}


@pytest.mark.parametrize("how", ["the lease ran out", "cancelled", "handed back"])
def test_a_late_result_is_paid_for_once(services: Services, how: str) -> None:
    """It changes neither task nor batch; but it was paid for, and is counted in the run of its task."""
    batch_id = bring(services, "ANALYZING", documents=1)
    late = lease_one(services, batch_id)
    if how == "the lease ran out":
        let_leases_run_out(services, [late])
        services.sweeper.sweep()
        lease_one(services, batch_id)
    elif how == "cancelled":
        act(services, batch_id, "cancel")
    else:
        services.queue.release([(late["id"], late["lease_token"])])
    for _ in range(2):
        with pytest.raises(ReportRefused):
            complete(services, late, SAID)
    with pytest.raises(ReportRefused):
        fail_with(services, late, USAGE)  # the other outcome of one call: still one call
    assert used(services, batch_id) == {**ONCE, **PRICED}
    shown = task(services, late["id"])
    assert shown["usage"] == {**NOTHING, **PRICED, "latency_ms": None}
    assert len(shown["late_results"]) == 2
    (shares,) = services.reads.batches.show(batch_id)["usage"]["by_model"]
    assert (shares["calls"], shares["failures"]) == (1, 0)


def test_the_other_outcome_of_a_call_that_counted_costs_nothing_more(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=2)
    leased, _ = lease(services, batch_id)
    complete(services, leased, SAID)
    with pytest.raises(ReportRefused):
        fail_with(services, leased, USAGE)
    assert used(services, batch_id) == {**ONCE, **PRICED}


def test_late_reports_of_one_call_are_paid_for_once(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=2)
    leased = lease(services, batch_id)
    act(services, batch_id, "cancel")
    body = {"result": SAID}
    sent = [
        Report.of(each["id"], Outcome.COMPLETED, {**body, "lease_token": each["lease_token"]})
        for each in [*leased, *leased]
    ]
    services.batches.report(sent)
    assert used(services, batch_id) == {**TWICE, **PRICED}


def test_the_next_run_begins_at_zero(services: Services) -> None:
    """A late result of the run before is counted in that run."""
    batch_id = bring(services, "ANALYZING", documents=2)
    done, late = lease(services, batch_id)
    complete(services, done, SAID)
    act(services, batch_id, "cancel")
    act(services, batch_id, "restage")
    with pytest.raises(ReportRefused):
        complete(services, late, SAID)
    assert used(services, batch_id) == {**NOTHING, **PRICED}
    assert services.reads.batches.show(batch_id)["usage"] == {
        **NOTHING,
        "unpriced_calls": 0,
        "by_model": [],
        "by_prompt": [],
    }
    assert sum(row.attempts for row in rows_of(services, UsageCounts) if row.run == 1) == 2


def test_staging_may_cost_too(services: Services) -> None:
    """A document read by a model costs the run money, under no prompt and no model of the batch."""
    batch_id = bring(services, "STAGING", documents=1)
    complete(services, lease_one(services, batch_id), {**SAID, "text": "read"})
    assert services.reads.batches.show(batch_id)["usage"] == {
        **ONCE,
        "unpriced_calls": 0,
        "by_model": [],
        "by_prompt": [],
    }


def test_by_model_and_by_prompt(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=2, prompts=2, models=2)
    leased = {(each["payload"]["model"], each["payload"]["prompt"], n): each for n, each in enumerate(lease(services))}
    assert len({key[:2] for key in leased}) == 4
    sent = []
    for (model, prompt, _), each in leased.items():
        usage = {"input_tokens": 10, "cost": {"m0": 1, "m1": 0.5}[model], "latency_ms": {"p0": 100, "p1": 301}[prompt]}
        sent.append(
            Report.of(
                each["id"],
                Outcome.COMPLETED if prompt == "p0" else Outcome.FAILED,
                {"lease_token": each["lease_token"], "result": {"usage": usage}, "error": {**ERROR, "usage": usage}},
            )
        )
    services.batches.report(sent)
    usage = services.reads.batches.show(batch_id)["usage"]
    same = {"calls": 4, "failures": 2, "input_tokens": 40, "output_tokens": 0, "unpriced_calls": 0}
    assert usage["by_model"] == [
        {"connection": "local", "model": "m0", **same, "cost": 4.0, "latency_ms": 200.5},
        {"connection": "local", "model": "m1", **same, "cost": 2.0, "latency_ms": 200.5},
    ]
    assert usage["by_prompt"] == [
        {"prompt": "p0", **same, "failures": 0, "cost": 3.0, "latency_ms": 100.0},
        {"prompt": "p1", **same, "failures": 4, "cost": 3.0, "latency_ms": 301.0},
    ]


def test_ready_made_tasks_have_neither_prompt_nor_model(services: Services) -> None:
    batch_id = follow(services, create_ready(services, 2), "STAGED")
    act(services, batch_id, "run")
    for each in lease(services, batch_id):
        complete(services, each, SAID)
    usage = services.reads.batches.show(batch_id)["usage"]
    shares = {"calls": 2, "failures": 0, **TWICE, "unpriced_calls": 0, "latency_ms": 800.0}
    assert usage == {
        **TWICE,
        "unpriced_calls": 0,
        "by_model": [{"connection": None, "model": None, **shares}],
        "by_prompt": [{"prompt": None, **shares}],
    }
    assert {(row.prompt_number, row.model_number) for row in rows_of(services, UsageCounts)} == {(0, 0)}


def test_latency_is_the_mean_of_the_calls_that_reported_one(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=3)
    for leased, latency in zip(lease(services, batch_id), [100, 200, None], strict=True):
        complete(services, leased, {"usage": {"latency_ms": latency}})
    assert services.reads.batches.show(batch_id)["usage"]["by_model"][0]["latency_ms"] == 150.0


@pytest.mark.parametrize(("prompts", "models"), list(product([1, 3], [1, 2])))
def test_a_bulk_report_adds_its_usage_by_one_statement(
    services: Services, statements: list[str], prompts: int, models: int
) -> None:
    """For any number of prompts and models, and for ready-made tasks too."""
    batch_id = bring(services, "ANALYZING", documents=2, prompts=prompts, models=models)
    leased = lease(services, batch_id)
    statements.clear()
    body = {"result": SAID}
    services.batches.report(
        [Report.of(e["id"], Outcome.COMPLETED, {**body, "lease_token": e["lease_token"]}) for e in leased]
    )
    assert len([each for each in statements if "usage_counts" in each or "add_usage" in each]) == 1
    assert used(services, batch_id)["input_tokens"] == 100 * len(leased)


def test_showing_a_batch_again_takes_one_statement_on_postgresql_and_two_on_sqlite(
    services: Services, statements: list[str]
) -> None:
    """The first look at each version of a batch reads names, too."""
    batch_id = bring(services, "ANALYZING", documents=3, prompts=2)
    finish_all(services, batch_id)
    services.reads.batches.show(batch_id)
    statements.clear()
    services.reads.batches.show(batch_id)
    on_postgresql = services.engine.dialect.name == "postgresql"
    assert len([each for each in statements if "SELECT" in each or "EXECUTE" in each]) == (1 if on_postgresql else 2)
