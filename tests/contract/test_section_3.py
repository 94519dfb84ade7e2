"""Contract 3: BatchService in Python, without a web server: four methods, what they answer and what they raise."""

import inspect
from typing import Any

import pytest

from app.errors import NotFound, Refusal, ReportRefused
from app.services import Services
from app.services.batch.batch_service import BatchService
from app.services.batch.orders import Order
from app.services.input import edits
from app.services.upkeep.verify import verify

SIGNATURES = {
    "request_state_change": ["batch_id", "requested_action", "context"],
    "can_transition": ["batch_id", "to_action"],
    "handle_task_completion": ["task_id", "result"],
    "handle_task_failure": ["task_id", "error"],
}
CONTEXT = {"actor": "maria", "role": "operator", "request_id": "r-1"}


@pytest.fixture
def batch_id(services: Services) -> int:
    body: dict[str, Any] = {
        "name": "b",
        "documents": [{"name": "a.txt", "media_type": "text/plain", "text": "A word."}],
        "prompts": [{"name": "p", "text": "{document}"}],
        "models": [{"connection": "local", "model": "textstats", "params": {}}],
        "options": {"max_attempts": 1},
    }
    made: int = edits.create_batch(services.batches, body, Order.of(CONTEXT))["id"]
    return made


def leased(services: Services) -> dict[str, Any]:
    [task] = services.queue.lease("w").tasks
    return task


@pytest.mark.parametrize(("method", "parameters"), SIGNATURES.items())
def test_the_four_methods(method: str, parameters: list[str]) -> None:
    """Contract 3: these four are public, with these parameters."""
    assert list(inspect.signature(getattr(BatchService, method)).parameters) == ["self", *parameters]


def test_a_whole_life_by_the_four_methods_alone(services: Services, batch_id: int) -> None:
    """Contract 3: `result` and `error` are the report bodies of section 5, lease token included."""
    batches = services.batches
    assert batches.can_transition(batch_id, "stage") == (True, "")
    assert batches.request_state_change(batch_id, "stage", CONTEXT)["new_state"] == "STAGING"
    task = leased(services)
    body = {"lease_token": task["lease_token"], "result": {"text": "A word."}}
    assert batches.handle_task_completion(task["id"], body) is None
    assert batches.request_state_change(batch_id, "run", CONTEXT)["new_state"] == "ANALYZING"
    task = leased(services)
    error = {"lease_token": task["lease_token"], "error": {"code": "x", "message": "y"}, "retryable": False}
    assert batches.handle_task_failure(task["id"], error) is None
    assert services.reads.batches.show(batch_id)["failure"]["code"] == "all_tasks_failed"
    assert list(verify(services.engine)) == []


def test_context_carries_what_the_edges_know(services: Services, batch_id: int) -> None:
    """Contract 3: `context` carries actor, role, request_id, if_version, dry_run beside the caller's own keys."""
    batches = services.batches
    own = {"reason": "because", "ticket": 7}
    assert batches.request_state_change(batch_id, "stage", {**CONTEXT, **own, "dry_run": True})["dry_run"] is True
    assert batches.request_state_change(batch_id, "stage", {**CONTEXT, "if_version": 9})["code"] == "version_mismatch"
    batches.request_state_change(batch_id, "stage", {**CONTEXT, **own, "if_version": 1})
    row = services.reads.audit.page(batch_id)[0][-1]
    said = {"actor": "maria", "role": "operator", "request_id": "r-1", "reason": "because", "context": own}
    assert {key: row[key] for key in said} == said


@pytest.mark.parametrize("context", [None, [], "x", {"if_version": "1"}, {"if_version": True}])
def test_a_refusal_is_answered_and_not_raised(services: Services, batch_id: int, context: Any) -> None:
    """Contract 3: request_state_change and can_transition answer a refusal, they do not raise it."""
    batches = services.batches
    assert batches.request_state_change(batch_id, "stage", context)["success"] is False
    assert batches.request_state_change(batch_id, "run", CONTEXT)["success"] is False
    assert batches.request_state_change(batch_id, "no word", CONTEXT)["success"] is False
    assert batches.request_state_change(10**9, "stage", CONTEXT)["success"] is False
    assert batches.can_transition(10**9, "stage")[0] is False
    assert batches.can_transition(batch_id, "no word")[0] is False


def test_a_refused_report_raises(services: Services, batch_id: int) -> None:
    """Contract 3: a report that is refused raises."""
    services.batches.request_state_change(batch_id, "stage", CONTEXT)
    task = leased(services)
    with pytest.raises(NotFound):
        services.batches.handle_task_completion("10000000", {"lease_token": "t", "result": {}})
    with pytest.raises(ReportRefused):
        services.batches.handle_task_completion(task["id"], {"lease_token": "never given out", "result": {}})
    for body in ({}, {"lease_token": task["lease_token"]}, {"lease_token": 7, "result": {}}):
        with pytest.raises(Refusal):
            services.batches.handle_task_completion(task["id"], body)
        with pytest.raises(Refusal):
            services.batches.handle_task_failure(task["id"], body)
