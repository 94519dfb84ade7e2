"""Batches of ready-made tasks, made over HTTP like anybody's: created, staged, and run if wanted."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import local

from bench.calls import JSON_LINES, Caller, WrongAnswer
from bench.options import CONNECTIONS, Bench
from bench.scene import Scene

STAGING_SECONDS = 300
POLL_SECONDS = 0.2


def lines_of(tasks: int) -> bytes:
    """Write so many ready-made tasks as JSON lines."""
    return b"\n".join(map(line_of, range(1, tasks + 1)))


def line_of(number: int) -> bytes:
    """Write one ready-made task as a line of JSON, without its end."""
    body = {"model": "small", "messages": [{"role": "user", "content": f"Question {number}"}]}
    line = {"custom_id": f"task-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line).encode()


def create(caller: Caller, tasks: int) -> int:
    """Create a batch of so many ready-made tasks; return its id."""
    answer = caller.send("POST", f"/api/batches?name=of-{tasks}", lines_of(tasks), JSON_LINES)
    return int(json.loads(answer)["id"])


def stage(bench: Bench, caller: Caller, batch_id: int, action: str = "stage") -> None:
    """Stage a batch and wait until its tasks are written. Raises WrongAnswer if that takes too long."""
    batch = caller.act(batch_id, action, reuse="none")["batch"]  # a round before has the answers
    total = batch["input"]["ready_tasks"]
    deadline = time.monotonic() + STAGING_SECONDS
    while batch["state"] != "STAGED":
        if batch["state"] != "STAGING" or time.monotonic() > deadline:
            raise WrongAnswer(f"Batch {batch_id} does not get STAGED: it is {batch['state']}.")
        bench.progress.count("tasks staged", batch["progress"]["analysis"]["total"], total)
        time.sleep(POLL_SECONDS)
        batch = caller.get(f"/api/batches/{batch_id}")


def large(bench: Bench, scene: Scene, tasks: int) -> int:
    """Make a batch of many tasks that is ANALYZING; return its id."""
    bench.progress.say(f"making a batch of {tasks:,} tasks")
    with scene.caller() as caller:
        batch_id = create(caller, tasks)
        stage(bench, caller, batch_id)
        caller.act(batch_id, "run")
    return batch_id


def many(bench: Bench, scene: Scene, amount: int, tasks: int = 1, run: bool = True) -> Sequence[int]:
    """Make many small batches, ANALYZING or, without `run`, SAVED; return their ids in order."""
    bench.progress.say(f"making {amount:,} batches of {tasks}")
    held = local()
    callers: list[Caller] = []

    def make(_: int) -> int:
        if not hasattr(held, "caller"):
            held.caller = scene.caller()
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
