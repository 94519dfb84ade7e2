"""Runs the worker processes of the benchmark: they start to work at the same time, and return their figures."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from bench.api_caller import WrongAnswer
from bench.deployment import Deployment
from bench.options import WORKER_PROCESSES, Bench

ROOT = Path(__file__).parents[1]
Process = subprocess.Popen[str]


def run_workers(bench: Bench, deployment: Deployment, batch_id: int, tasks: int, at_once: int) -> list[dict[str, Any]]:
    """Let the workers work on a batch until it has no task to lease; return the figures of each.

    Raises WrongAnswer when one fails.
    """
    arguments = (deployment.server.url, str(batch_id), str(at_once))
    with (
        _started_workers("bench.worker_process", arguments, BENCH_TOKEN=deployment.server.tokens["worker"]) as workers,
        _progress_printed(bench, deployment, batch_id, tasks),
    ):
        return _figures(workers)


def run_bare_workers(database_url: str, batch_id: int, at_once: int) -> list[dict[str, Any]]:
    """Let as many workers do the same by the bare statements."""
    with _started_workers("bench.bare_bulk", (database_url, str(batch_id), str(at_once))) as workers:
        return _figures(workers)


def _figures(workers: list[Process]) -> list[dict[str, Any]]:
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return [json.loads(_line(worker)) for worker in workers]


@contextmanager
def _started_workers(module: str, arguments: Sequence[str], **environment: str) -> Iterator[list[Process]]:
    """Start the workers and wait until they are connected."""
    workers: list[Process] = []
    try:
        for number in range(WORKER_PROCESSES):
            worker = subprocess.Popen(
                [sys.executable, "-m", module, *arguments, f"worker-{number}"],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # Ctrl-C reaches only the benchmark, which then ends its child processes
            )
            workers.append(worker)
        for worker in workers:
            _line(worker)
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def _line(worker: Process) -> str:
    assert worker.stdout
    line = worker.stdout.readline()
    if not line.startswith(("ready", "{")):
        worker.kill()
        raise WrongAnswer(f"A worker failed:\n{line}{worker.stdout.read()}")
    return line


@contextmanager
def _progress_printed(bench: Bench, deployment: Deployment, batch_id: int, tasks: int) -> Iterator[None]:
    """Print the progress of the batch. It is read every two seconds, as the page of a batch does."""
    over = Event()

    def watch() -> None:
        with deployment.caller("viewer") as caller:
            while not over.wait(2.0):
                done = caller.get(f"/api/batches/{batch_id}")["progress"]["analysis"]["completed"]
                bench.progress.count("tasks completed", done, tasks)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(timeout=10)
