"""Late answers that race with the restage: each is taken or kept, none is lost, and none is asked for a third time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import requests

from tests.concurrency.conftest import Call
from tests.concurrency.over_http import Caller, answered
from tests.support.server import Shared
from tests.support.waiting import LIMIT_SECONDS

WORKERS, TASKS_EACH = 8, 12
LINE = b'{"custom_id": "%d", "method": "POST", "url": "/v1/chat/completions", "body": {"question": %d}}\n'


def of_questions(client: Caller, amount: int) -> int:
    """Create a batch of ready-made tasks that all differ, and bring it to ANALYZING; return its id."""
    lines = b"".join(LINE % (number, number) for number in range(amount))
    made = client.post("/batches?name=race", lines, Content_Type="application/jsonl")
    batch_id = int(answered(made, 201)["id"])
    client.act(batch_id, "stage")
    client.act(batch_id, "run")
    return batch_id


def tasks_of(client: Caller, batch_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/batches/{batch_id}/tasks?limit=200")["tasks"]
    return found


@pytest.mark.soak(rounds=50)
def test_late_answers_among_a_restage(shared: Shared, call: Call) -> None:
    client = call(shared.server)
    batch_id = of_questions(client, WORKERS * TASKS_EACH)
    leased = client.lease(1000, batch_id=batch_id)
    client.act(batch_id, "cancel")
    barrier = Barrier(WORKERS + 1, timeout=LIMIT_SECONDS)

    def report(worker: int) -> set[int]:
        mine = call(shared.server)
        barrier.wait()
        return {mine.complete(task, f"late {task['id']}").status_code for task in leased[worker::WORKERS]}

    with ThreadPoolExecutor(WORKERS) as pool:
        reporting = [pool.submit(report, worker) for worker in range(WORKERS)]
        barrier.wait()
        client.act(batch_id, "restage")
        assert set().union(*(each.result() for each in reporting)) == {409}
    reused = {task["id"]: task["reused_from"] for task in tasks_of(client, batch_id) if task["reused_from"]}
    for task_id, source in reused.items():
        assert client.get(f"/tasks/{task_id}")["result"] == {"text": f"late {source}"}
    assert all(client.get(f"/tasks/{task['id']}")["late_results"] for task in leased)
    client.act(batch_id, "run")
    open_tasks = client.lease(1000, batch_id=batch_id)
    assert len(open_tasks) + len(reused) == len(leased)
    if open_tasks:
        client.act(batch_id, "cancel")
    client.act(batch_id, "restage")  # by now every late answer is there
    client.act(batch_id, "run")
    assert client.batch(batch_id)["state"] == "COMPLETED"
    assert {task["reused_from"] for task in tasks_of(client, batch_id)} == {task["id"] for task in leased}


@pytest.mark.soak(rounds=50)
def test_two_restages_at_once_begin_one_run(shared: Shared, call: Call) -> None:
    client = call(shared.server)
    batch_id = of_questions(client, 3)
    for task in client.lease(1000, batch_id=batch_id):
        answered(client.complete(task))
    barrier = Barrier(2, timeout=LIMIT_SECONDS)

    def restage(_: int) -> requests.Response:
        mine = call(shared.server)
        barrier.wait()
        return mine.ask(batch_id, "restage")

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(restage, range(2)))
    assert len(client.versions_won(answers)) == 1
    batch = client.batch(batch_id)
    assert (batch["run"], batch["progress"]["analysis"]["completed"]) == (2, 3)
