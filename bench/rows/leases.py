"""Workers at full speed: they lease 100 tasks and report 100, on one large batch, until it is COMPLETED.

Beside it, in turns, the same work by two bare statements (bench/bare_bulk.py) on a database of their own.
"""

import time
from collections.abc import Sequence
from itertools import count
from statistics import median
from typing import Any

from bench import bare_bulk, make_batches
from bench.deployment import Deployment, DoesNotAddUp, deployed, scratch_database
from bench.options import WORKER_PROCESSES, Bench
from bench.results import Result
from bench.rounds import alternate, ratio
from bench.worker_processes import run_bare_workers, run_workers

TASKS = 100_000
FLOOR = 5_000.0
OF_BARE = 0.4
AT_ONCE = 100


def bulk(bench: Bench) -> list[Result]:
    """Complete a batch of 100,000 tasks once in each round: the same batch, staged again. Then with bare statements."""
    tasks = bench.size(TASKS, least=2_000)
    with deployed(bench) as deployment, scratch_database(bench) as scratch:
        bench.progress.say(f"making a batch of {tasks:,} tasks")
        with deployment.caller() as caller:
            service = _Service(bench, deployment, make_batches.create(caller, tasks), tasks)
        batch_ids = count(1)
        measures = {"service": service.complete, "bare": lambda: _complete_bare(scratch, next(batch_ids), tasks)}
        found = alternate(measures, bench.rounds, bench.progress)
    what = f"lease {AT_ONCE} + report {AT_ONCE}, one batch of {tasks:,} tasks"
    rate, bare = median(found["service"]), median(found["bare"])
    clients = f"{WORKER_PROCESSES} client processes, {median(service.shares):.0%} of a core"
    of_bare = ratio(found["service"], found["bare"])
    return [
        Result(what, f"{rate:,.0f} tasks/s", clients, at_least=FLOOR, value=rate),
        Result(f"{what}, beside two bare statements", f"{rate:,.0f} tasks/s", f"{bare:,.0f} tasks/s", of_bare, OF_BARE),
        Result(f"staging of {tasks:,} ready-made tasks", f"{median(service.staged):,.0f} tasks/s"),
    ]


class _Service:
    """The batch that workers of the service complete, again and again."""

    def __init__(self, bench: Bench, deployment: Deployment, batch_id: int, tasks: int) -> None:
        self._bench, self._deployment, self._batch_id, self._tasks = bench, deployment, batch_id, tasks
        self.shares: list[float] = []  # of a core, that the workers used
        self.staged: list[float] = []  # tasks per second

    def complete(self) -> float:
        """Stage the batch and let the workers complete it; return the tasks per second.

        Raises DoesNotAddUp unless the batch is COMPLETED, with each task completed and reported once.
        """
        with self._deployment.caller() as caller:
            begun = time.monotonic()
            make_batches.stage(self._bench, caller, self._batch_id, "restage" if self.staged else "stage")
            self.staged.append(self._tasks / (time.monotonic() - begun))
            caller.act(self._batch_id, "run")
            done = run_workers(self._bench, self._deployment, self._batch_id, self._tasks, AT_ONCE)
            batch = caller.get(f"/api/batches/{self._batch_id}")
        where = f"batch_id = {self._batch_id} AND run = {batch['run']} AND status = 'COMPLETED'"
        completed = self._deployment.number(f"SELECT count(*) FROM tasks WHERE {where}")
        if completed != self._tasks or batch["state"] != "COMPLETED":
            raise DoesNotAddUp(f"{completed} of {self._tasks} tasks completed, the batch {batch['state']}")
        self.shares.append(sum(client["cpu_seconds"] for client in done) / _seconds(done))
        return _rate(done, self._tasks)


def _complete_bare(database_url: str, batch_id: int, tasks: int) -> float:
    bare_bulk.fill(database_url, batch_id, tasks)
    done = run_bare_workers(database_url, batch_id, AT_ONCE)
    completed = bare_bulk.completed(database_url, batch_id)
    if completed != tasks:
        raise DoesNotAddUp(f"{completed} of {tasks} tasks completed by the bare statements")
    return _rate(done, tasks)


def _rate(done: Sequence[dict[str, Any]], tasks: int) -> float:
    """Compute the tasks per second. Raises DoesNotAddUp unless each task was reported once."""
    reported = sum(client["reported"] for client in done)
    if reported != tasks:
        raise DoesNotAddUp(f"{reported} reports of {tasks} tasks")
    return tasks / _seconds(done)


def _seconds(done: Sequence[dict[str, Any]]) -> float:
    return float(max(client["ended_at"] for client in done) - min(client["begun_at"] for client in done))
