"""The worker end to end: `python -m app.worker` with 16 threads, whose tasks do nothing, until a batch is COMPLETED."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from bench import make_batches
from bench.deployment import Deployment, DoesNotAddUp, deployed
from bench.options import Bench
from bench.processor_time import of_process
from bench.results import Result
from bench.rounds import alternate
from tests.support.process import ROOT

TASKS = 20_000
THREADS = 16
WARM_UP_TASKS = 1_000
MOST_SECONDS = 300.0
POLL_SECONDS = 0.05
OPTIONS = ("--prefetch", "20", "--only", "jsonl", "--no-stage", "--handler", "jsonl=bench.no_op:answer")


@dataclass
class Workplace:
    """A deployment and a worker that works for it."""

    bench: Bench
    deployment: Deployment
    pid: int
    microseconds: list[float] = field(default_factory=list)  # of the worker's processor for a task, by round

    def complete(self, tasks: int) -> float:
        """Let the worker complete a batch of new tasks; return the tasks per second. Raises DoesNotAddUp."""
        with self.deployment.caller() as caller:
            batch_id = make_batches.create(caller, tasks)
            make_batches.stage(self.bench, caller, batch_id)
            used, begun = of_process(self.pid), time.monotonic()
            state = caller.act(batch_id, "run")["batch"]["state"]
            while state == "ANALYZING" and time.monotonic() - begun < MOST_SECONDS:
                time.sleep(POLL_SECONDS)
                state = caller.get(f"/api/batches/{batch_id}")["state"]
        if state != "COMPLETED":
            raise DoesNotAddUp(f"The batch is {state} after {time.monotonic() - begun:.0f} s")
        self.microseconds.append((of_process(self.pid) - used) / tasks * 1e6)
        return tasks / (time.monotonic() - begun)


@contextmanager
def started_worker(deployment: Deployment, *options: str) -> Iterator[int]:
    """Run a worker for a deployment; yield its process id."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "app.worker", "--url", deployment.server.url, *options],
        cwd=ROOT,
        env={**os.environ, "INTERLOCK_TOKEN": deployment.server.tokens["worker"]},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches only the benchmark, which then ends its child processes
    )
    try:
        yield worker.pid
    finally:
        worker.terminate()
        worker.wait()


@contextmanager
def at_work(bench: Bench) -> Iterator[Workplace]:
    """Run a service and a worker."""
    with (
        deployed(bench) as deployment,
        started_worker(deployment, "--concurrency", str(THREADS), *OPTIONS) as pid,
    ):
        workplace = Workplace(bench, deployment, pid)
        workplace.complete(bench.size(WARM_UP_TASKS, least=100))
        workplace.microseconds.clear()
        yield workplace


def end_to_end(bench: Bench) -> list[Result]:
    """Complete no-op tasks by a worker with 16 threads; its processor time for a task."""
    tasks = bench.size(TASKS, least=500)
    with at_work(bench) as workplace:
        found = alternate({"worker": lambda: workplace.complete(tasks)}, bench.rounds, bench.progress)
    spent = f"its own processor {median(workplace.microseconds):,.0f} µs a task"
    return [Result(f"the worker with {THREADS} threads, no-op tasks", f"{median(found['worker']):,.0f} tasks/s", spent)]
