"""Batches brought to where a test wants them, through the API alone; and what every refusal looks like."""

from typing import Any

from werkzeug.test import TestResponse

from tests.support.client import ApiClient

PROBLEM_JSON = "application/problem+json"
PROMPT = {"name": "summary", "text": "Summarise:\n\n{document}"}
MODEL = {"connection": "local", "model": "textstats"}
LINE = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}\n'


def refused(response: TestResponse, status: int) -> dict[str, Any]:
    """Assert that an answer is a refusal with `status`, in the one shape of errors; return its body."""
    assert response.status_code == status, f"{response.status}: {response.get_data()[:600]!r}"
    assert response.content_type == PROBLEM_JSON
    body: dict[str, Any] = response.json
    assert body["status"] == status
    for member in ("type", "title", "detail", "instance"):
        assert isinstance(body[member], str), member
        assert body[member], member
    assert body["instance"] == response.request.path
    return body


def answered(response: TestResponse, status: int = 200) -> dict[str, Any]:
    """Assert that an answer is JSON with `status`; return its body."""
    assert response.status_code == status, f"{response.status}: {response.get_data()[:600]!r}"
    assert response.content_type == "application/json"
    body: dict[str, Any] = response.json
    return body


def create(client: ApiClient, documents: int = 2, **changes: Any) -> dict[str, Any]:
    """Create a batch of `documents` documents, one prompt and one model."""
    named = [{"name": f"{number}.txt", "text": f"text {number}"} for number in range(documents)]
    body = {"name": "contracts", "documents": named, "prompts": [PROMPT], "models": [MODEL], **changes}
    return answered(client.post("/api/batches", json=body), 201)


def create_ready(client: ApiClient, tasks: int = 1) -> dict[str, Any]:
    """Create a batch of ready-made tasks."""
    lines = b"".join(LINE.replace(b'"a"', b'"%d"' % number) for number in range(tasks))
    made = client.post("/api/batches?name=ready", data=lines, content_type="application/jsonl")
    return answered(made, 201)


def show(client: ApiClient, batch_id: int) -> dict[str, Any]:
    """Show a batch as every answer shows it: without its shares of the usage."""
    return as_everywhere(answered(client.get(f"/api/batches/{batch_id}")))


def as_everywhere(shown: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a batch what `GET /api/batches/<id>` alone shows."""
    return {
        **{name: value for name, value in shown.items() if name != "waiting_for"},
        "usage": {name: shown["usage"][name] for name in ("input_tokens", "output_tokens", "cost", "unpriced_calls")},
    }


def ask(client: ApiClient, batch_id: int, action: str, **body: Any) -> TestResponse:
    """Ask for an action."""
    return client.post(f"/api/batches/{batch_id}/action", json={"action": action, **body})


def act(client: ApiClient, batch_id: int, action: str) -> dict[str, Any]:
    """Ask for an action that is done at once; return the batch afterwards."""
    batch: dict[str, Any] = answered(ask(client, batch_id, action))["batch"]
    return batch


def lease(client: ApiClient, batch_id: int | None = None, most: int = 1000, **more: Any) -> list[dict[str, Any]]:
    """Lease tasks, of one batch if it is named."""
    body = {"worker": "w", "max_tasks": most, **({"batch_id": batch_id} if batch_id else {}), **more}
    tasks: list[dict[str, Any]] = answered(client.post("/api/tasks/lease", json=body))["tasks"]
    return tasks


def complete(client: ApiClient, task: dict[str, Any], result: dict[str, Any] | None = None) -> TestResponse:
    """Report a leased task completed."""
    body = {"lease_token": task["lease_token"], "result": {"text": "an answer"} if result is None else result}
    return client.post(f"/api/tasks/{task['id']}/complete", json=body)


def fail(client: ApiClient, task: dict[str, Any], **more: Any) -> TestResponse:
    """Report a leased task failed."""
    body = {"lease_token": task["lease_token"], "error": {"code": "timeout", "message": "no answer"}, **more}
    return client.post(f"/api/tasks/{task['id']}/fail", json=body)


def finish_all(client: ApiClient, batch_id: int) -> None:
    """Complete every task that can be leased of a batch now."""
    while tasks := lease(client, batch_id):
        reports = [
            {"task_id": t["id"], "lease_token": t["lease_token"], "outcome": "completed", "result": {"text": "read"}}
            for t in tasks
        ]
        done = answered(client.post("/api/tasks/report", json={"reports": reports}))["reports"]
        assert {report["status"] for report in done} == {200}


def bring(client: ApiClient, state: str, documents: int = 2, **changes: Any) -> dict[str, Any]:
    """Create a batch and take it to a state on the shortest way; return it as it is then."""
    batch_id = create(client, documents, **changes)["id"]
    if state != "SAVED":
        act(client, batch_id, "stage")
    if state not in ("SAVED", "STAGING"):
        finish_all(client, batch_id)
    if state in ("ANALYZING", "PAUSED", "COMPLETED", "FAILED"):
        act(client, batch_id, "run")
    if state == "PAUSED":
        act(client, batch_id, "pause")
    if state == "FAILED":
        act(client, batch_id, "cancel")
    if state == "COMPLETED":
        finish_all(client, batch_id)
    batch = show(client, batch_id)
    assert batch["state"] == state
    return batch


def audit(client: ApiClient, batch_id: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = answered(client.get(f"/api/batches/{batch_id}/audit?limit=200"))["audit"]
    return rows


def replayed(answer: TestResponse, first: TestResponse) -> None:
    """Assert that an answer is the first one again."""
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert (answer.status_code, answer.data) == (first.status_code, first.data)
    for name in ("Content-Type", "ETag", "Location", "Retry-After"):
        assert answer.headers.get(name) == first.headers.get(name), name
