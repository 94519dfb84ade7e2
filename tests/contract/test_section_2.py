"""The sentences of contract 2 that no other test has: what an action writes, and what is no limit."""

import re

import pytest

from app.services import Services
from tests.services.stories import act, bring, create, fail, lease, lease_one, tasks_of, trail, view

WRITES_TASKS = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM) tasks\b", re.I)


@pytest.mark.parametrize(
    ("state", "action"),
    [("STAGED", "run"), ("ANALYZING", "pause"), ("PAUSED", "resume"), ("ANALYZING", "cancel"), ("FAILED", "reset")],
)
def test_an_action_writes_no_task_row(services: Services, statements: list[str], state: str, action: str) -> None:
    """Contract 2: `run`, `pause`, `resume`, `cancel` and `reset` write no task row."""
    batch_id = bring(services, state)
    before = tasks_of(services, batch_id)
    statements.clear()
    act(services, batch_id, action)
    sent = list(statements)
    assert any(re.search(r"\bUPDATE batches\b", each, re.I) for each in sent)
    assert [each for each in sent if WRITES_TASKS.search(each)] == []
    assert tasks_of(services, batch_id) == before


@pytest.mark.parametrize("action", ["run", "pause", "resume", "cancel", "reset"])
def test_an_action_costs_the_same_whatever_the_size(services: Services, statements: list[str], action: str) -> None:
    """Contract 2: an action costs the same whatever the size of the batch."""
    sent = []
    for documents in (2, 40):
        state = {"run": "STAGED", "resume": "PAUSED", "reset": "FAILED"}.get(action, "ANALYZING")
        batch_id = bring(services, state, documents=documents)
        statements.clear()
        act(services, batch_id, action)
        sent.append(list(statements))
    assert sent[0] == sent[1]
    assert sent[0]


def test_stage_does_write_task_rows(services: Services, statements: list[str]) -> None:
    """Contract 2: `stage` and `restage` may write rows (and the tests above would see it)."""
    act(services, create(services), "stage")
    assert [each for each in statements if WRITES_TASKS.search(each)]


def test_null_is_no_limit(services: Services) -> None:
    """Contract 2: `max_failed_tasks`: null is no limit; one good task of many is a COMPLETED batch."""
    batch_id = bring(services, "ANALYZING", documents=6, max_failed_tasks=None)
    good, *others = lease(services, batch_id)
    for leased in others:
        fail(services, leased, retryable=False)
        assert view(services, batch_id)["state"] == "ANALYZING"
    services.batches.handle_task_completion(good["id"], {"lease_token": good["lease_token"], "result": {"text": "x"}})
    batch = view(services, batch_id)
    assert (batch["state"], batch["failure"]) == ("COMPLETED", None)
    assert batch["progress"]["analysis"]["failed"] == 5


def test_critical_while_staging(services: Services) -> None:
    """Contract 2: in STAGING the one event that fails is `staging_failed`; a critical report is no `critical_error`."""
    batch_id = bring(services, "STAGING", documents=2)
    leased = lease_one(services, batch_id)
    fail(services, leased, critical=True, error={"code": "void", "message": "the key is void"})
    batch = view(services, batch_id)
    assert (batch["state"], trail(services, batch_id)[-1]) == ("FAILED", "staging_failed")
    assert (batch["failure"]["code"], batch["failure"]["task_id"]) == ("staging_failed", leased["id"])
    assert "the key is void" in batch["failure"]["message"]


def test_reset_keeps_the_runs_count_and_its_progress(services: Services) -> None:
    """Contract 2 and 5: `run` counts the stagings; `reset` begins none, and `progress` stays the present run's."""
    batch_id = bring(services, "COMPLETED", documents=2)
    before = view(services, batch_id)
    act(services, batch_id, "reset")
    after = view(services, batch_id)
    assert (after["run"], after["progress"]) == (1, before["progress"])
    act(services, batch_id, "stage")
    assert view(services, batch_id)["run"] == 2
