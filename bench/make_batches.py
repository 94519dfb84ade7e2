"""Makes batches over HTTP: creates and stages them, and runs them."""

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import Any

from sqlalchemy import text

from bench.api_caller import JSON_LINES, Caller, WrongAnswer
from bench.deployment import Deployment
from bench.options import CONNECTIONS, Bench

STAGING_SECONDS = 300
POLL_SECONDS = 0.2
PORTION = 50_000  # tasks that one statement completes
DOCUMENTS_AT_ONCE = 500
STAGED_AT_ONCE = 50  # documents reported in one request, which then makes all their tasks


def lines_of(tasks: int) -> bytes:
    """Write the given number of ready-made tasks as JSON lines."""
    return b"\n".join(map(line_of, range(1, tasks + 1)))


def line_of(number: int) -> bytes:
    """Write one ready-made task as a line of JSON, without the line end."""
    body = {"model": "small", "messages": [{"role": "user", "content": f"Question {number}"}]}
    line = {"custom_id": f"task-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line).encode()


def create(caller: Caller, tasks: int) -> int:
    """Create a batch of the given number of ready-made tasks; return its id."""
    answer = caller.send("POST", f"/api/batches?name=of-{tasks}", lines_of(tasks), JSON_LINES)
    return int(json.loads(answer)["id"])


def stage(bench: Bench, caller: Caller, batch_id: int, action: str = "stage") -> None:
    """Stage a batch and wait until it is STAGED. Raises WrongAnswer if that takes too long."""
    batch = caller.act(batch_id, action, reuse="none")["batch"]  # an earlier round has the same questions
    total = batch["input"]["ready_tasks"]
    deadline = time.monotonic() + STAGING_SECONDS
    while batch["state"] != "STAGED":
        if batch["state"] != "STAGING" or time.monotonic() > deadline:
            raise WrongAnswer(f"Batch {batch_id} does not become STAGED: it is {batch['state']}.")
        bench.progress.count("tasks staged", batch["progress"]["analysis"]["total"], total)
        time.sleep(POLL_SECONDS)
        batch = caller.get(f"/api/batches/{batch_id}")


def large(bench: Bench, deployment: Deployment, tasks: int) -> int:
    """Make one ANALYZING batch of many tasks; return its id."""
    bench.progress.say(f"making a batch of {tasks:,} tasks")
    with deployment.caller() as caller:
        batch_id = create(caller, tasks)
        stage(bench, caller, batch_id)
        caller.act(batch_id, "run")
    return batch_id


def many(bench: Bench, deployment: Deployment, amount: int, tasks: int = 1, run: bool = True) -> Sequence[int]:
    """Make many small batches, ANALYZING or (without `run`) SAVED; return their ids, sorted."""
    bench.progress.say(f"making {amount:,} batches of {tasks}")
    held = local()
    callers: list[Caller] = []

    def make(_: int) -> int:
        if not hasattr(held, "caller"):
            held.caller = deployment.caller()
            callers.append(held.caller)
        batch_id = create(held.caller, tasks)
        if run:
            held.caller.act(batch_id, "stage")
            held.caller.act(batch_id, "run")
        return batch_id

    made: list[int] = []
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        try:
            for batch_id in pool.map(make, range(amount)):
                made.append(batch_id)
                bench.progress.count("batches made", len(made), amount)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            for caller in callers:
                caller.__exit__(None, None, None)
    return sorted(made)


def matrix(bench: Bench, deployment: Deployment, documents: int, prompts: int, models: int) -> int:
    """Make an ANALYZING batch of documents x prompts x models; return its id."""
    bench.progress.say(f"making a batch of {documents:,} documents x {prompts} prompts x {models} models")
    made = {
        "name": f"{documents} documents",
        "prompts": [{"name": f"prompt {n}", "text": f"Question {n}: {{document}}"} for n in range(prompts)],
        "models": [{"connection": "local", "model": f"model-{n}"} for n in range(models)],
    }
    with deployment.caller() as caller, deployment.caller("worker") as worker:
        batch_id = int(caller.post("/api/batches", made)["id"])
        for first in range(0, documents, DOCUMENTS_AT_ONCE):
            numbers = range(first, min(documents, first + DOCUMENTS_AT_ONCE))
            named = [{"name": f"{n:06}.txt", "text": f"Text of document {n}."} for n in numbers]
            caller.post(f"/api/batches/{batch_id}/documents", {"documents": named})
        caller.act(batch_id, "stage")
        read = 0
        lease = {"worker": "bench", "batch_id": batch_id, "max_tasks": STAGED_AT_ONCE, "wait_seconds": 5}
        while read < documents:
            tasks = worker.post("/api/tasks/lease", lease)["tasks"]
            if not tasks:
                raise WrongAnswer(f"Only {read} of {documents} documents of batch {batch_id} could be leased.")
            report(worker, tasks, {"text": "A text as documents have it."})
            read += len(tasks)
            bench.progress.count("documents read", read, documents)
        caller.act(batch_id, "run")
    return batch_id


def report(worker: Caller, tasks: Sequence[Any], result: Any) -> None:
    """Complete leased tasks, all with the same result. Raises WrongAnswer."""
    reports = [
        {"task_id": task["id"], "lease_token": task["lease_token"], "outcome": "completed", "result": result}
        for task in tasks
    ]
    answers = worker.post("/api/tasks/report", {"reports": reports})["reports"]
    if any(answer["status"] != 200 for answer in answers):
        raise WrongAnswer(f"A report was refused: {answers[:3]}")


def complete_by_sql(deployment: Deployment, batch_id: int, tasks: int, answer: Any) -> Iterator[int]:
    """Complete a number of queued tasks of a batch and update its counts, in portions; yield how many are done."""
    open_tasks = f"batch_id = {batch_id} AND kind = 'ANALYZE' AND status = 'QUEUED'"
    completed = text(
        "UPDATE tasks SET status = 'COMPLETED', attempt = 1, finished_at = available_at, result = :answer,"
        " latency_ms = 200 + id % 977"
        f" WHERE id IN (SELECT id FROM tasks WHERE {open_tasks} ORDER BY id LIMIT :most)"
    )
    counted = text(
        "UPDATE task_counts SET completed = completed + :n, queued = queued - :n"
        " WHERE batch_id = :batch_id AND kind = 'ANALYZE' AND shard ="
        " (SELECT min(shard) FROM task_counts WHERE batch_id = :batch_id AND kind = 'ANALYZE')"
    )
    done = 0
    while done < tasks:
        with deployment.services.engine.begin() as connection:
            portion = connection.execute(
                completed, {"answer": json.dumps(answer), "most": min(PORTION, tasks - done)}
            ).rowcount
            connection.execute(counted, {"n": portion, "batch_id": batch_id})
        done += portion
        yield done
