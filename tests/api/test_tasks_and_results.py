"""GET /api/batches/<id>/tasks, GET /api/tasks/<id>, GET /api/batches/<id>/results."""

import json
import time
from typing import Any

import pytest
import requests
from sqlalchemy import create_engine, text

from app.services.reads.results import RESULTS_PAGE
from tests.api.lives import (
    LINE,
    act,
    answered,
    bring,
    complete,
    create,
    create_ready,
    fail,
    finish_all,
    lease,
    refused,
)
from tests.support.client import ApiClient
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS


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
    """Contract 5 and 2: `?run=`; without it the present run; earlier ones stay readable."""
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
    """Contract 5: the fields of a line, and its usage; tasks that are COMPLETED or FAILED, in the order of ids."""
    batch = in_every_status(same_client)
    good, bad = results_of(same_client, batch["id"])
    assert set(good) == set(bad)
    assert list(good) == [
        "task_id",
        "custom_id",
        "document",
        "part",
        "parts",
        "prompt",
        "connection",
        "model",
        "run",
        "status",
        "attempt",
        "reused_from",
        "usage",
        "result",
        "truncated",
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


def openai_lines_of(client: ApiClient, batch_id: int, form: str) -> list[dict[str, Any]]:
    return results_of(client, batch_id, f"?format={form}")


def test_results_as_the_openai_batch_api_gives_them(same_client: ApiClient) -> None:
    """Contract 5, beside it: lines of an output file, one a completed task, in the order of their ids."""
    batch = create_ready(same_client, tasks=4)
    act(same_client, batch["id"], "stage")
    act(same_client, batch["id"], "run")
    began = int(time.time())
    tasks = lease(same_client, batch["id"], most=3)
    usage = {"input_tokens": 5, "output_tokens": 2, "cost": 0.1}
    raw = {"object": "list", "data": []}
    complete(same_client, tasks[0], {"text": "hello", "usage": usage})
    complete(same_client, tasks[1], raw)
    fail(same_client, tasks[2], retryable=False)
    first, second = openai_lines_of(same_client, batch["id"], "openai")
    created = first["response"]["body"].pop("created")
    assert began <= created <= time.time()
    assert first == {
        "id": f"batch_req_{tasks[0]['id']}",
        "custom_id": "0",
        "response": {
            "status_code": 200,
            "request_id": f"req_{tasks[0]['id']}_1",
            "body": {
                "id": f"chatcmpl-{tasks[0]['id']}",
                "object": "chat.completion",
                "model": "m",
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
                ],
                "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
            },
        },
        "error": None,
    }
    assert (second["custom_id"], second["response"]["body"]) == ("1", raw)
    (failed,) = openai_lines_of(same_client, batch["id"], "openai-errors")
    assert failed == {
        "id": f"batch_req_{tasks[2]['id']}",
        "custom_id": "2",
        "response": None,
        "error": {"code": "timeout", "message": "no answer"},
    }


def test_openai_lines_of_documents_go_by_their_tasks(same_client: ApiClient) -> None:
    """Contract 5, beside it: who has no custom_id of its own goes by its task's id; the model is the batch's."""
    batch = bring(same_client, "COMPLETED", documents=1)
    (line,) = openai_lines_of(same_client, batch["id"], "openai")
    assert line["custom_id"] == f"task-{line['id'].removeprefix('batch_req_')}"
    assert line["response"]["body"]["model"] == "textstats"
    assert openai_lines_of(same_client, batch["id"], "openai-errors") == []
    assert openai_lines_of(same_client, batch["id"], "ndjson") == results_of(same_client, batch["id"])
    refused(same_client.get(f"/api/batches/{batch['id']}/results?format=csv"), 422)


def test_results_that_break_off_are_no_whole_answer(live_server: LiveServer, database_url: str) -> None:
    """Contract 5: streamed; when it fails half way, the client learns that something is missing."""
    with live_server.session() as http:
        url = f"{live_server.url}/api/batches"
        lines = b"".join(LINE.replace(b'"a"', b'"%d"' % number) for number in range(2 * RESULTS_PAGE))
        made = http.post(
            f"{url}?name=x", data=lines, headers={"Content-Type": "application/jsonl"}, timeout=LIMIT_SECONDS
        )
        for action in ("stage", "run"):
            http.post(f"{url}/{made.json()['id']}/action", json={"action": action}, timeout=LIMIT_SECONDS)
        asked = {"worker": "w", "max_tasks": 2 * RESULTS_PAGE}
        tasks = http.post(f"{live_server.url}/api/tasks/lease", json=asked, timeout=LIMIT_SECONDS).json()["tasks"]
        long = {"text": "x" * 100_000}  # more together than any buffer between here and there
        reports = [
            {"task_id": t["id"], "lease_token": t["lease_token"], "outcome": "completed", "result": long} for t in tasks
        ]
        http.post(
            f"{live_server.url}/api/tasks/report", json={"reports": reports}, timeout=LIMIT_SECONDS
        ).raise_for_status()
        answer = http.get(f"{url}/{made.json()['id']}/results", stream=True, timeout=LIMIT_SECONDS)
        rest = answer.iter_content(10_000)
        assert next(rest)
        take_away_the_tasks(database_url)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            for _ in rest:
                pass


def take_away_the_tasks(database_url: str) -> None:
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg2:"))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE tasks RENAME TO gone"))
    engine.dispose()
