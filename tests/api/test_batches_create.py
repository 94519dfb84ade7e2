"""POST /api/batches with JSON."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.services import Services
from tests.api.lives import MODEL, PROMPT, answered, audit, lease, refused
from tests.support.client import ApiClient

NO_LIMITS = {
    "max_cost": None,
    "max_tokens": None,
    "max_failure_rate": None,
    "on_unreadable": "fail",
    "on_truncated": "keep",
    "on_too_long": "fail",
    "part_characters": 40_000,
    "overlap_characters": 400,
    "pause_after_outage_seconds": 600,
    "auto_resume": True,
    "keep_runs": None,
    "deadline_at": None,
}
FULL = {
    "name": "contracts, Q3",
    "description": "optional",
    "documents": [
        {"name": "a.txt", "text": "first"},
        {"name": "b.md", "text": "", "media_type": "text/markdown"},
    ],
    "prompts": [PROMPT],
    "models": [{**MODEL, "params": {"temperature": 0.5}}],
    "options": {"max_attempts": 5, "lease_seconds": 30, "max_failed_tasks": 2, "priority": 9},
}


def test_created_with_every_field(operator: ApiClient) -> None:
    """Contract 5: 201, `Location`, and the batch as the contract shows it."""
    made = operator.post("/api/batches", json=FULL)
    batch = answered(made, 201)
    assert made.headers["Location"] == f"/api/batches/{batch['id']}"
    assert made.headers["ETag"] == '"1"'
    created_at = datetime.fromisoformat(batch["created_at"])
    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=1)
    assert batch["created_at"].endswith("Z")
    assert batch.pop("created_at") == batch.pop("updated_at")
    assert isinstance(batch.pop("id"), int)
    assert batch == {
        "name": "contracts, Q3",
        "description": "optional",
        "state": "SAVED",
        "version": 1,
        "run": 0,
        "failure": None,
        "progress": {
            "staging": {"total": 0, "completed": 0, "failed": 0, "skipped": 0},
            "analysis": {"total": 0, "queued": 0, "leased": 0, "completed": 0, "failed": 0, "truncated": 0},
        },
        "usage": {"input_tokens": 0, "output_tokens": 0, "cost": 0.0, "unpriced_calls": 0},
        "input": {"documents": 2, "prompts": 1, "models": 1, "ready_tasks": 0, "file_id": None},
        "options": {**FULL["options"], "staging_timeout_seconds": 3600, **NO_LIMITS},
        "allowed_actions": ["stage", "reset"],
        "staged_at": None,
        "started_at": None,
        "finished_at": None,
    }
    assert answered(operator.get(made.headers["Location"]))["name"] == "contracts, Q3"


def test_a_name_is_enough(operator: ApiClient) -> None:
    """Contract 5: `documents` may be empty and come later; the options have defaults."""
    batch = answered(operator.post("/api/batches", json={"name": "n"}), 201)
    assert batch["options"] == {
        "max_attempts": 3,
        "lease_seconds": 60,
        "max_failed_tasks": None,
        "priority": 0,
        "staging_timeout_seconds": 3600,
        **NO_LIMITS,
    }
    assert batch["description"] is None
    assert batch["allowed_actions"] == ["reset"]


def test_creation_is_version_1_of_the_audit_trail(operator: ApiClient) -> None:
    """Contract 4: version 1 is the creation, an edit from no state; it names who did it."""
    batch = answered(operator.post("/api/batches", json=FULL, headers={"X-Request-Id": "r-1"}), 201)
    rows = audit(operator, batch["id"])
    assert [row.pop("at") for row in rows] == [batch["created_at"]]
    assert rows == [
        {
            "version": 1,
            "trigger": "create",
            "kind": "edit",
            "from_state": None,
            "to_state": "SAVED",
            "actor": "a operator",
            "role": "operator",
            "reason": None,
            "context": {},
            "request_id": "r-1",
        }
    ]


def test_the_input_is_what_workers_get(client: ApiClient) -> None:
    """Contract 5: documents keep their order, names and media types; each is one STAGE task."""
    batch = answered(client.post("/api/batches", json=FULL), 201)
    client.post(f"/api/batches/{batch['id']}/action", json={"action": "stage"})
    payloads = [task["payload"] for task in lease(client, batch["id"])]
    assert [(p["document"]["name"], p["document"]["media_type"], p["text"]) for p in payloads] == [
        ("a.txt", "text/plain", "first"),
        ("b.md", "text/markdown", ""),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 201),
        ("description", "x" * 10_001),
        ("documents", [{"name": "a"}]),
        ("documents", [{"text": "a"}]),
        ("documents", [{"name": "", "text": "a"}]),
        ("documents", [{"name": "x" * 501, "text": "a"}]),
        ("documents", [{"name": "a", "text": "a", "content": "a"}]),
        ("documents", {"name": "a", "text": "a"}),
        ("documents", ["a"]),
        ("documents", None),
        ("prompts", [{"name": "p"}]),
        ("prompts", [{"name": "p", "text": ""}]),
        ("prompts", [{"name": "p", "text": "t", "role": "system"}]),
        ("prompts", [PROMPT] * 101),
        ("models", [{"connection": "c"}]),
        ("models", [{"connection": "c", "model": "m", "params": []}]),
        ("models", [{"connection": "c", "model": "m", "params": None}]),
        ("models", [MODEL] * 101),
        ("options", []),
        ("options", None),
        ("options", {"surprise": 1}),
    ],
)
def test_422_names_the_field(same_client: ApiClient, field: str, value: Any) -> None:
    """Contract 5: 422 is a problem naming the field; nothing is stored."""
    before = same_client.get("/api/batches").json
    body = refused(same_client.post("/api/batches", json={"name": "n", field: value}), 422)
    assert field in body["errors"]
    assert field in body["detail"]
    assert same_client.get("/api/batches").json == before


def test_422_without_a_name(operator: ApiClient) -> None:
    """Contract 5: a batch has a name."""
    assert "name" in refused(operator.post("/api/batches", json={}), 422)["errors"]


def test_422_an_unknown_query_parameter(operator: ApiClient) -> None:
    """Contract 5: unknown fields are refused; `?name=` belongs to the form with lines."""
    refused(operator.post("/api/batches?name=x", json={"name": "n"}), 422)


def test_the_same_document_name_twice_is_two_documents(operator: ApiClient) -> None:
    """Contract 1: a batch is a set of documents; nothing says that their names differ."""
    documents = [{"name": "a.txt", "text": "1"}, {"name": "a.txt", "text": "2"}]
    batch = answered(operator.post("/api/batches", json={"name": "n", "documents": documents}), 201)
    assert batch["input"]["documents"] == 2


def test_a_batch_of_many_documents(operator: ApiClient, service: Services) -> None:
    """Contract 2: `stage` may write its rows in slices after it has answered; none is lost or doubled."""
    documents = [{"name": f"{n}.txt", "text": f"x{n}"} for n in range(2_500)]
    body = {"name": "n", "documents": documents, "prompts": [PROMPT], "models": [MODEL]}
    batch = answered(operator.post("/api/batches", json=body), 201)
    operator.post(f"/api/batches/{batch['id']}/action", json={"action": "stage"})
    service.sweeper.sweep()
    staging = operator.get(f"/api/batches/{batch['id']}").json["progress"]["staging"]
    assert staging == {"total": 2_500, "completed": 0, "failed": 0, "skipped": 0}
