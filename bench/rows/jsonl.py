"""A million lines in, a million lines out: how fast, and how much memory it takes of server and client.

The tasks between are completed by SQL, all but one: to answer them over HTTP is what the row `lease` measures.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from bench import making
from bench.calls import JSON_LINES, Caller
from bench.memory import watched
from bench.options import Bench
from bench.results import Result
from bench.scene import DoesNotAddUp, Scene, scene, sqlite_scene

LINES = 1_000_000
CEILING_MB = 200.0
WARM_UP = 50  # calls, so that what every process needs is there before
ANSWER = {"text": "An answer of the length that answers have. " * 10}


def jsonl(bench: Bench) -> list[Result]:
    """Bring 1,000,000 ready-made tasks in and their results out, on PostgreSQL and on SQLite, once each."""
    scenes: dict[str, Callable[[Bench], AbstractContextManager[Scene]]] = {"PostgreSQL": scene, "SQLite": sqlite_scene}
    lines = bench.size(LINES, least=2_000)
    found: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder:
        path = Path(folder, "lines.jsonl")
        bench.progress.say(f"writing {lines:,} lines")
        with path.open("wb") as file:
            file.writelines(making.line_of(number) + b"\n" for number in range(1, lines + 1))
        for name, made in scenes.items():
            with made(bench) as there, there.caller() as caller:
                found += _in_and_out(bench, there, caller, path, lines, name)
    return found


def _in_and_out(bench: Bench, there: Scene, caller: Caller, path: Path, lines: int, name: str) -> list[Result]:
    for _ in range(WARM_UP):
        caller.get("/api/batches")
    bench.progress.say(f"{name}: {lines:,} lines in")
    with ExitStack() as stack:
        watch = _Watch(there, stack)
        with path.open("rb") as file:
            batch = json.loads(caller.send("POST", "/api/batches?name=lines", file, JSON_LINES))
    if batch["input"]["ready_tasks"] != lines:
        raise DoesNotAddUp(f"{lines} lines sent, {batch['input']['ready_tasks']} taken")
    size = path.stat().st_size / 1e6
    found = [watch.result(f"{name}: {lines:,} JSON lines in ({size:,.0f} MB)", lines)]
    begun = time.monotonic()
    making.stage(bench, caller, batch["id"])
    seconds = time.monotonic() - begun
    found.append(Result(f"{name}: staging of {lines:,} ready-made tasks", f"{lines / seconds:,.0f} tasks/s"))
    _complete(bench, there, caller, batch["id"], lines)
    for form in ("ndjson", "openai"):
        bench.progress.say(f"{name}: {lines:,} results out as {form}")
        with ExitStack() as stack:
            watch = _Watch(there, stack)
            got, size = 0, 0
            for part in caller.stream(f"/api/batches/{batch['id']}/results?format={form}"):
                got, size = got + part.count(b"\n"), size + len(part)
        if got != lines:
            raise DoesNotAddUp(f"{got} results of {lines}")
        found.append(watch.result(f"{name}: {lines:,} results out, {form} ({size / 1e6:,.0f} MB)", lines))
    return found


class _Watch:
    """Time and memory of what happens until the stack is closed."""

    def __init__(self, there: Scene, stack: ExitStack) -> None:
        self._server = stack.enter_context(watched(there.server.web_pids()))
        self._client = stack.enter_context(watched([os.getpid()]))
        self._begun = time.monotonic()
        stack.callback(self._end)

    def _end(self) -> None:
        self._seconds = time.monotonic() - self._begun

    def result(self, what: str, lines: int) -> Result:
        memory = f"server +{self._server.grown_mb:.0f} MB, client +{self._client.grown_mb:.0f} MB"
        most = max(self._server.grown_mb, self._client.grown_mb)
        return Result(what, f"{lines / self._seconds:,.0f} lines/s", memory, at_most=CEILING_MB, value=most)


def _complete(bench: Bench, there: Scene, caller: Caller, batch_id: int, tasks: int) -> None:
    """Complete a batch: the last task over HTTP, the others by SQL, with the counts that follow."""
    caller.act(batch_id, "run")
    with there.caller("worker") as worker:
        asked = {"worker": "bench", "batch_id": batch_id, "lease_seconds": 3600}
        (last,) = worker.post("/api/tasks/lease", asked)["tasks"]
        for done in making.completed_by_sql(there, batch_id, tasks - 1, ANSWER):
            bench.progress.count("tasks completed by SQL", done, tasks)
        body = {"lease_token": last["lease_token"], "result": ANSWER}
        answer = worker.post(f"/api/tasks/{last['id']}/complete", body)
    if answer["batch_state"] != "COMPLETED":
        raise DoesNotAddUp(f"The batch is {answer['batch_state']} after its last task.")
