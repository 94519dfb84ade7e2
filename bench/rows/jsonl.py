"""A million lines in and a million lines out: the speed, and the memory of the server and of the client.

All tasks but one are completed by SQL, since the row `lease` measures how they are reported over HTTP.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from bench import make_batches
from bench.api_caller import JSON_LINES, Caller
from bench.deployment import Deployment, DoesNotAddUp, deployed, deployed_on_sqlite
from bench.options import Bench
from bench.results import Result
from tests.support.process_memory import measured_memory

LINES = 1_000_000
CEILING_MB = 200.0
WARM_UP = 50  # calls, so that every process has allocated what it always needs
ANSWER = {"text": "An answer of the length that answers have. " * 10}


def jsonl(bench: Bench) -> list[Result]:
    """Upload 1,000,000 ready-made tasks and download their results, once on PostgreSQL and once on SQLite."""
    deployments: dict[str, Callable[[Bench], AbstractContextManager[Deployment]]] = {
        "PostgreSQL": deployed,
        "SQLite": deployed_on_sqlite,
    }
    lines = bench.size(LINES, least=2_000)
    found: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder:
        path = Path(folder, "lines.jsonl")
        bench.progress.say(f"writing {lines:,} lines")
        with path.open("wb") as file:
            file.writelines(make_batches.line_of(number) + b"\n" for number in range(1, lines + 1))
        for name, made in deployments.items():
            with made(bench) as deployment, deployment.caller() as caller:
                found += _in_and_out(bench, deployment, caller, path, lines, name)
    return found


def _in_and_out(
    bench: Bench, deployment: Deployment, caller: Caller, path: Path, lines: int, name: str
) -> list[Result]:
    for _ in range(WARM_UP):
        caller.get("/api/batches")
    bench.progress.say(f"{name}: {lines:,} lines in")
    with ExitStack() as stack:
        measurement = _Measurement(deployment, stack)
        with path.open("rb") as file:
            batch = json.loads(caller.send("POST", "/api/batches?name=lines", file, JSON_LINES))
    if batch["input"]["ready_tasks"] != lines:
        raise DoesNotAddUp(f"{lines} lines sent, {batch['input']['ready_tasks']} taken")
    size = path.stat().st_size / 1e6
    found = [measurement.result(f"{name}: {lines:,} JSON lines in ({size:,.0f} MB)", lines)]
    begun = time.monotonic()
    make_batches.stage(bench, caller, batch["id"])
    seconds = time.monotonic() - begun
    found.append(Result(f"{name}: staging of {lines:,} ready-made tasks", f"{lines / seconds:,.0f} tasks/s"))
    _complete(bench, deployment, caller, batch["id"], lines)
    for form in ("ndjson", "openai"):
        bench.progress.say(f"{name}: {lines:,} results out as {form}")
        with ExitStack() as stack:
            measurement = _Measurement(deployment, stack)
            got, size = 0, 0
            for part in caller.stream(f"/api/batches/{batch['id']}/results?format={form}"):
                got, size = got + part.count(b"\n"), size + len(part)
        if got != lines:
            raise DoesNotAddUp(f"{got} results of {lines}")
        found.append(measurement.result(f"{name}: {lines:,} results out, {form} ({size / 1e6:,.0f} MB)", lines))
    return found


class _Measurement:
    """The time and the memory from here until the stack is closed."""

    def __init__(self, deployment: Deployment, stack: ExitStack) -> None:
        self._server = stack.enter_context(measured_memory(deployment.server.web_pids()))
        self._client = stack.enter_context(measured_memory([os.getpid()]))
        self._begun = time.monotonic()
        stack.callback(self._end)

    def _end(self) -> None:
        self._seconds = time.monotonic() - self._begun

    def result(self, what: str, lines: int) -> Result:
        memory = f"server +{self._server.grown_mb:.0f} MB, client +{self._client.grown_mb:.0f} MB"
        most = max(self._server.grown_mb, self._client.grown_mb)
        return Result(what, f"{lines / self._seconds:,.0f} lines/s", memory, at_most=CEILING_MB, value=most)


def _complete(bench: Bench, deployment: Deployment, caller: Caller, batch_id: int, tasks: int) -> None:
    """Complete a batch: its last task over HTTP, the others and their counts by SQL."""
    caller.act(batch_id, "run")
    with deployment.caller("worker") as worker:
        lease = {"worker": "bench", "batch_id": batch_id, "lease_seconds": 3600}
        (last,) = worker.post("/api/tasks/lease", lease)["tasks"]
        for done in make_batches.complete_by_sql(deployment, batch_id, tasks - 1, ANSWER):
            bench.progress.count("tasks completed by SQL", done, tasks)
        body = {"lease_token": last["lease_token"], "result": ANSWER}
        answer = worker.post(f"/api/tasks/{last['id']}/complete", body)
    if answer["batch_state"] != "COMPLETED":
        raise DoesNotAddUp(f"The batch is {answer['batch_state']} after its last task.")
