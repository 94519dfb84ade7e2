"""Limits over HTTP: what a batch used, the pause that a crossed limit makes, and resume with another limit."""

from typing import Any

import pytest

from tests.api.lives import act, answered, ask, audit, bring, complete, fail, lease, refused, show
from tests.support.client import ApiClient

USAGE = {"input_tokens": 900, "output_tokens": 100, "cost": 0.75, "latency_ms": 1200}
ANSWER = {"text": "an answer", "usage": USAGE}


def bring_limited(client: ApiClient, **limits: Any) -> int:
    return int(bring(client, "ANALYZING", documents=4, options=limits)["id"])


def broken(client: ApiClient) -> int:
    """A batch that two calls for 0.75 each brought over a limit of 1.5."""
    batch_id = bring_limited(client, max_cost=1.5)
    for task in lease(client, batch_id, most=2):
        complete(client, task, ANSWER)
    return batch_id


def test_the_answer_to_the_report_that_crosses_a_limit(client: ApiClient) -> None:
    batch_id = bring_limited(client, max_cost=1.5)
    first, second, _ = lease(client, batch_id, most=3)
    assert answered(complete(client, first, ANSWER))["batch_state"] == "ANALYZING"
    assert answered(complete(client, second, ANSWER))["batch_state"] == "PAUSED"
    batch, row = show(client, batch_id), audit(client, batch_id)[-1]
    assert batch["usage"] == {"input_tokens": 1800, "output_tokens": 200, "cost": 1.5, "unpriced_calls": 0}
    assert batch["allowed_actions"] == ["resume", "cancel"]
    assert (row["actor"], row["role"], row["kind"], row["trigger"]) == ("system:breaker", "system", "action", "pause")
    assert row["reason"] == "The run has cost 1.5; its limit (max_cost) is 1.5."
    assert row["context"] == {"limit": "max_cost", "allowed": 1.5, "used": 1.5, "leases_in_flight": 1}
    assert lease(client, batch_id) == []


def test_in_a_bulk_report_all_count_before_the_pause(client: ApiClient) -> None:
    batch_id = bring_limited(client, max_tokens=1000)
    reports = [
        {"task_id": task["id"], "lease_token": task["lease_token"], "outcome": "completed", "result": ANSWER}
        for task in lease(client, batch_id, most=3)
    ]
    answered(client.post("/api/tasks/report", json={"reports": reports}))
    batch = show(client, batch_id)
    assert (batch["state"], batch["usage"]["cost"]) == ("PAUSED", 2.25)


def test_shares_by_model_and_by_prompt(client: ApiClient) -> None:
    """In `GET /api/batches/<id>`, and nowhere else."""
    batch_id = bring_limited(client)
    first, second = lease(client, batch_id, most=2)
    complete(client, first, ANSWER)
    fail(client, second, error={"code": "timeout", "message": "no answer", "usage": {"cost": 0.25}})
    tokens = {"input_tokens": 900, "output_tokens": 100}
    used = {"calls": 2, "failures": 1, **tokens, "cost": 1.0, "unpriced_calls": 0, "latency_ms": 1200.0}
    assert answered(client.get(f"/api/batches/{batch_id}"))["usage"] == {
        "input_tokens": 900,
        "output_tokens": 100,
        "cost": 1.0,
        "unpriced_calls": 0,
        "by_model": [{"connection": "local", "model": "textstats", **used}],
        "by_prompt": [{"prompt": "summary", **used}],
    }
    (listed,) = answered(client.get("/api/batches"))["batches"]
    assert listed == act(client, batch_id, "pause") | {
        name: listed[name] for name in ("state", "version", "allowed_actions", "updated_at")
    }
    task = answered(client.get(f"/api/tasks/{first['id']}"))
    assert task["usage"] == {**USAGE, "unpriced_calls": 0}


def test_resume_with_a_raised_limit(client: ApiClient) -> None:
    batch_id = broken(client)
    body = answered(ask(client, batch_id, "resume", context={"max_cost": 5.0, "reason": "go on"}))
    assert (body["new_state"], body["batch"]["state"]) == ("ANALYZING", "ANALYZING")
    assert body["batch"]["options"]["max_cost"] == show(client, batch_id)["options"]["max_cost"] == 5.0


def test_resume_under_the_same_limit(client: ApiClient) -> None:
    batch_id = broken(client)
    body = answered(ask(client, batch_id, "resume"))
    assert (body["new_state"], body["batch"]["state"]) == ("ANALYZING", "PAUSED")
    assert (body["version"], body["batch"]["version"]) == (6, 7)
    assert [row["trigger"] for row in audit(client, batch_id)[-3:]] == ["pause", "resume", "pause"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("max_cost", "5"), ("max_cost", -1), ("max_cost", 1e10), ("max_tokens", 1.5), ("max_failure_rate", 2)],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_limit_that_makes_no_sense(client: ApiClient, key: str, value: Any, dry_run: bool) -> None:
    """422 names the field; nothing has changed."""
    batch_id = broken(client)
    before = show(client, batch_id)
    problem = refused(ask(client, batch_id, "resume", context={key: value}, dry_run=dry_run), 422)
    assert problem["code"] == "invalid"
    assert list(problem["errors"]["context"]) == [key]
    assert problem["detail"].startswith(f"context.{key} has to be")
    assert show(client, batch_id) == before


def test_a_dry_run_says_whether_it_would_be_paused_again(client: ApiClient) -> None:
    batch_id = broken(client)
    again = answered(ask(client, batch_id, "resume", dry_run=True))
    assert again["pauses_again"] == "The run has cost 1.5; its limit (max_cost) is 1.5."
    raised = answered(ask(client, batch_id, "resume", dry_run=True, context={"max_cost": None}))
    assert raised["pauses_again"] is None
    assert show(client, batch_id)["state"] == "PAUSED"


def test_the_breakers_name_is_taken(client: ApiClient) -> None:
    refused(client.post("/api/tokens", json={"name": "system:breaker", "role": "operator"}), 422)
