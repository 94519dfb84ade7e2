"""POST /api/tasks/report: many reports in one call, each judged by itself, in order."""

from typing import Any

import pytest

from tests.api.lives import act, answered, audit, bring, create_ready, lease, refused, show
from tests.support.client import ApiClient


def completed(task: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"task_id": task["id"], "lease_token": task["lease_token"], "outcome": "completed", "result": {}, **more}


def failed(task: dict[str, Any], **more: Any) -> dict[str, Any]:
    error = {"code": "c", "message": "m"}
    return {"task_id": task["id"], "lease_token": task["lease_token"], "outcome": "failed", "error": error, **more}


def report(client: ApiClient, *reports: dict[str, Any]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = answered(client.post("/api/tasks/report", json={"reports": list(reports)}))[
        "reports"
    ]
    return answers


def test_mixed_outcomes_in_order(same_client: ApiClient) -> None:
    """Contract 5: 200 with one status each, 200, 404 or 409, in the order they were sent."""
    batch = bring(same_client, "ANALYZING", documents=5)
    tasks = lease(same_client, batch["id"])
    stranger = {"id": tasks[3]["id"], "lease_token": "nobody's"}
    sent = [
        completed(tasks[2]),
        completed({"id": "999999", "lease_token": "t"}),
        failed(tasks[0], retryable=False),
        completed(stranger),
        failed(tasks[1], retry_after_seconds=0),
        completed({"id": "x\0", "lease_token": "t"}),
        completed(tasks[2]),
        failed(tasks[2]),
    ]
    answers = report(same_client.acting_as("worker"), *sent)
    assert [each["task_id"] for each in answers] == [each["task_id"] for each in sent]
    assert [each["status"] for each in answers] == [200, 404, 200, 409, 200, 404, 200, 409]
    for each in answers:
        assert ("reason" in each) == (each["status"] != 200)
    progress = show(same_client, batch["id"])["progress"]["analysis"]
    assert progress == {"total": 5, "queued": 1, "leased": 2, "completed": 1, "failed": 1, "truncated": 0}


def test_the_last_reports_of_a_phase_end_it(same_client: ApiClient) -> None:
    """Contract 5: before the last report of a phase is answered the batch's state has changed: exactly once."""
    batches = [bring(same_client, "ANALYZING", documents=2) for _ in range(2)]
    tasks = [task for batch in batches for task in lease(same_client, batch["id"])]
    assert {each["status"] for each in report(same_client, *map(completed, tasks))} == {200}
    for batch in batches:
        assert show(same_client, batch["id"])["state"] == "COMPLETED"
        assert [row["trigger"] for row in audit(same_client, batch["id"])].count("tasks_finished") == 1


def test_each_with_its_own_fields(same_client: ApiClient) -> None:
    """Contract 5: an item takes what `complete` and `fail` take: results, retries, critical."""
    batch = bring(same_client, "ANALYZING", documents=3)
    one, two, three = lease(same_client, batch["id"])
    report(same_client, completed(one, result={"text": "x"}), failed(two, critical=True), completed(three))
    assert same_client.get(f"/api/tasks/{one['id']}").json["result"] == {"text": "x"}
    failure = show(same_client, batch["id"])["failure"]
    assert (failure["code"], failure["task_id"]) == ("critical_error", two["id"])


def test_up_to_a_thousand(client: ApiClient) -> None:
    """Contract 5: up to 1000 in one call; one more is 422 and none counts."""
    batch = create_ready(client, tasks=1_000)
    act(client, batch["id"], "stage")
    act(client, batch["id"], "run")
    reports = [completed(task, result={"text": "x" * 100}) for task in lease(client, batch["id"])]
    refused(client.post("/api/tasks/report", json={"reports": [*reports, reports[0]]}), 422)
    assert show(client, batch["id"])["progress"]["analysis"]["leased"] == 1_000
    assert {each["status"] for each in report(client, *reports)} == {200}
    assert show(client, batch["id"])["state"] == "COMPLETED"


def test_an_empty_list(same_client: ApiClient) -> None:
    """Nothing to report is nothing wrong."""
    assert report(same_client) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"outcome": "done"},
        {"outcome": None},
        {"lease_token": None},
        {"lease_token": 1},
        {"task_id": 1},
        {"task_id": ""},
        {"result": None},
        {"result": []},
        {"surprise": 1},
        {"outcome": "failed"},
        {"outcome": "failed", "error": {"code": "c"}},
        {"retry_after_seconds": -1},
    ],
    ids=range(12),
)
def test_422_a_malformed_item_is_named_by_its_index(same_client: ApiClient, bad: dict[str, Any]) -> None:
    """Contract 5: a malformed item makes the whole call 422 and names its index; none of the others counts."""
    batch = bring(same_client, "ANALYZING", documents=2)
    one, two = lease(same_client, batch["id"])
    sent = {"reports": [completed(one), {**completed(two), **bad}]}
    body = refused(same_client.post("/api/tasks/report", json=sent), 422)
    assert list(body["errors"]["reports"]) == ["1"]
    assert "reports.1" in body["detail"]
    assert show(same_client, batch["id"])["progress"]["analysis"]["leased"] == 2


def test_422_a_missing_field_is_named_too(same_client: ApiClient) -> None:
    """Contract 5: a malformed item makes the whole call 422 and names its index."""
    for missing in ("task_id", "lease_token", "outcome", "result"):
        item = completed({"id": "1", "lease_token": "t"})
        del item[missing]
        body = refused(same_client.post("/api/tasks/report", json={"reports": [item]}), 422)
        assert missing in body["errors"]["reports"]["0"]


@pytest.mark.parametrize("body", [{}, {"reports": None}, {"reports": {}}, {"reports": ["x"]}, {"reports": [None]}])
def test_422_a_bad_body(same_client: ApiClient, body: dict[str, Any]) -> None:
    """Contract 5: bad body is 422."""
    refused(same_client.post("/api/tasks/report", json=body), 422)
