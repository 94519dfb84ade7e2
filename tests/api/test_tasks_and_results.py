"""GET /api/batches/<id>/tasks, GET /api/tasks/<id>, GET /api/batches/<id>/results."""

import json
from typing import Any

import pytest

from tests.api.lives import act, answered, bring, complete, create, create_ready, fail, finish_all, lease, refused
from tests.support.client import ApiClient


def tasks_of(client: ApiClient, batch_id: int, query: str = "") -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = answered(client.get(f"/api/batches/{batch_id}/tasks{query}"))["tasks"]
    return tasks


def results_of(client: ApiClient, batch_id: int, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/api/batches/{batch_id}/results{query}")
    assert answer.status_code == 200
    assert answer.content_type == "application/x-ndjson"
    assert answer.text == "" or answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.splitlines()]


def in_every_status(client: ApiClient) -> dict[str, Any]:
    """A batch whose four analysis tasks are QUEUED, LEASED, COMPLETED and FAILED."""
    batch = bring(client, "ANALYZING", documents=4)
    first, second, _ = lease(client, batch["id"], most=3)
    complete(client, first, {"text": "good"})
    fail(client, second, retryable=False)
    return batch


def test_by_status(same_client: ApiClient) -> None:
    """Contract 5: `?status=`; a task is QUEUED, LEASED, COMPLETED or FAILED."""
    batch = in_every_status(same_client)
    for status in ("QUEUED", "LEASED", "FAILED"):
        found = tasks_of(same_client, batch["id"], f"?status={status}")
        assert [task["status"] for task in found] == [status]
    completed = tasks_of(same_client, batch["id"], "?status=COMPLETED")
    assert [task["kind"] for task in completed] == ["STAGE"] * 4 + ["ANALYZE"]
    assert len(tasks_of(same_client, batch["id"])) == 8


def test_by_run(same_client: ApiClient) -> None:
    """Contract 5 and 2: `?run=`; the present run unless told, earlier ones stay readable."""
    batch = bring(same_client, "COMPLETED", documents=1)
    act(same_client, batch["id"], "restage")
    assert [task["run"] for task in tasks_of(same_client, batch["id"])] == [2]
    assert [task["run"] for task in tasks_of(same_client, batch["id"], "?run=1")] == [1, 1]
    assert tasks_of(same_client, batch["id"], "?run=3") == []
    act(same_client, create(same_client)["id"], "stage")
    assert tasks_of(same_client, create(same_client)["id"]) == []


@pytest.mark.parametrize("query", ["?status=queued", "?status=", "?run=x", "?run=-1", "?run=" + "9" * 30, "?x=1"])
def test_422_a_filter_that_is_none(same_client: ApiClient, query: str) -> None:
    """Contract 5: a bad query is 422."""
    batch = create(same_client)
    refused(same_client.get(f"/api/batches/{batch['id']}/tasks{query}"), 422)
    if "status" not in query:
        refused(same_client.get(f"/api/batches/{batch['id']}/results{query}"), 422)


def test_a_task_whole(same_client: ApiClient) -> None:
    """Contract 5: `GET /api/tasks/<id>` shows a task whole; nobody reads a lease token there."""
    batch = in_every_status(same_client)
    listed = tasks_of(same_client, batch["id"])
    for row in listed:
        answer = same_client.get(f"/api/tasks/{row['id']}")
        task = answered(answer)
        assert {key: task[key] for key in row} == row
        assert task["late_results"] == []
        assert "lease_token" not in answer.text
    held = next(task for task in listed if task["status"] == "LEASED")
    assert held["worker"] == "w"
    assert held["lease_expires_at"]
    free = next(task for task in listed if task["status"] == "QUEUED")
    assert (free["worker"], free["lease_expires_at"]) == (None, None)


def test_results_line_by_line(same_client: ApiClient) -> None:
    """Contract 5: a line, field by field; tasks that are COMPLETED or FAILED, in the order of their ids."""
    batch = in_every_status(same_client)
    good, bad = results_of(same_client, batch["id"])
    assert set(good) == set(bad)
    assert list(good) == [
        "task_id",
        "custom_id",
        "document",
        "prompt",
        "connection",
        "model",
        "run",
        "status",
        "attempt",
        "reused_from",
        "result",
        "error",
        "finished_at",
    ]
    assert isinstance(good["task_id"], str)
    assert isinstance(good["document"].pop("id"), int)
    assert good["document"] == {"name": "0.txt"}
    shown = [good[name] for name in ("custom_id", "prompt", "connection", "model", "run", "status", "attempt")]
    assert shown == [None, "summary", "local", "textstats", 1, "COMPLETED", 1]
    assert (good["result"], good["error"]) == ({"text": "good"}, None)
    assert (bad["status"], bad["result"], bad["error"]["code"]) == ("FAILED", None, "timeout")
    assert good["finished_at"].endswith("Z")


def test_results_of_every_run(same_client: ApiClient) -> None:
    """Contract 2: the results of earlier runs stay readable."""
    batch = bring(same_client, "COMPLETED", documents=2)
    act(same_client, batch["id"], "restage")
    assert results_of(same_client, batch["id"]) == []
    finish_all(same_client, batch["id"])
    act(same_client, batch["id"], "run")
    finish_all(same_client, batch["id"])
    for query, run in (("", 2), ("?run=2", 2), ("?run=1", 1)):
        assert [line["run"] for line in results_of(same_client, batch["id"], query)] == [run, run]


def test_results_of_nothing(same_client: ApiClient) -> None:
    """Contract 5: 200 and no line, as long as no task is finished."""
    assert results_of(same_client, create(same_client)["id"]) == []
    assert results_of(same_client, bring(same_client, "STAGED")["id"]) == []


def test_results_of_many_are_streamed_in_order(client: ApiClient) -> None:
    """Contract 5: streamed, one line a finished task, in the order of their ids, over all pages inside."""
    batch = create_ready(client, tasks=450)
    act(client, batch["id"], "stage")
    act(client, batch["id"], "run")
    finish_all(client, batch["id"])
    lines = results_of(client, batch["id"])
    assert [line["custom_id"] for line in lines] == [str(number) for number in range(450)]
    ids = [int(line["task_id"]) for line in lines]
    assert ids == sorted(ids)
