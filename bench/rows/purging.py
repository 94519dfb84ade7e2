"""A purge of a batch of a million answers while eight workers complete another batch: what it costs them, and disk."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import make_batches
from bench.deployment import Deployment, DoesNotAddUp, deployed, deployed_on_sqlite
from bench.options import Bench
from bench.results import Result
from bench.rounds import ratio
from tests.support.process import ROOT
from tests.support.waiting import wait_until

WORKERS = 8
AT_ONCE = 10  # tasks of one lease
FLOOR = 0.9
_ANSWER = {"text": "An answer of some length. " * 16, "usage": {"input_tokens": 400, "output_tokens": 80}}


@dataclass(frozen=True)
class Rates:
    """Tasks per second of the workers, without and beside the purge, in turns; and the seconds that it took in all."""

    without: list[float]
    beside: list[float]
    purge_seconds: float


def purging(bench: Bench) -> list[Result]:
    """Purge 1,000,000 answers (`--tasks`) while eight workers complete another batch, on both databases."""
    results = []
    for name, deploy in (("PostgreSQL", deployed), ("SQLite", deployed_on_sqlite)):
        bench.progress.say(f"purge on {name}")
        with deploy(bench, SWEEPER="0") as deployment:
            deployment.services.sweeper.start()  # only for now: it would go on deleting in the turns without a purge
            old = _archived(bench, deployment)
            busy = make_batches.large(bench, deployment, bench.tasks)
            deployment.services.sweeper.stop()
            before = _bytes(deployment)
            rates = _alternate(bench, deployment, old, busy)
            after = _bytes(deployment)
            _check(deployment, old)
        results.append(
            Result(
                f"{name}: {WORKERS} workers while {bench.tasks:,} answers are purged",
                f"{median(rates.beside):,.0f} tasks/s",
                f"without {median(rates.without):,.0f} tasks/s",
                ratio(rates.beside, rates.without),
                at_least=FLOOR,
            )
        )
        took = f"{rates.purge_seconds:,.0f} s, {bench.tasks / rates.purge_seconds:,.0f} answers/s"
        results.append(Result(f"{name}: the purge itself; disk before and after", took, f"{before} -> {after}"))
    return results


def _archived(bench: Bench, deployment: Deployment) -> int:
    """Make an archived batch whose tasks are all answered."""
    batch_id = make_batches.large(bench, deployment, bench.tasks)
    for done in make_batches.complete_by_sql(deployment, batch_id, bench.tasks, _ANSWER):
        bench.progress.count("tasks completed", done, bench.tasks)
    with deployment.caller() as caller:
        wait_until(lambda: caller.get(f"/api/batches/{batch_id}")["state"] == "COMPLETED", "a batch that is COMPLETED")
        caller.send("DELETE", f"/api/batches/{batch_id}")
    return batch_id


def _alternate(bench: Bench, deployment: Deployment, old: int, batch_id: int) -> Rates:
    """Measure in turns without the purge and beside it, until it is done: each turn interrupts it as Ctrl-C does."""
    without: list[float] = []
    beside: list[float] = []
    spent = 0.0
    with _workers(deployment, batch_id):
        _rate(deployment, batch_id, 3)
        while _first_task(deployment, old):
            without.append(_rate(deployment, batch_id, bench.seconds))
            begun, first = time.monotonic(), _first_task(deployment, old)
            purge = _purge(deployment)
            try:
                while purge.poll() is None and _first_task(deployment, old) == first:
                    time.sleep(0.1)  # the command starts
                spent -= time.monotonic() - begun
                beside.append(_rate(deployment, batch_id, bench.seconds))
            finally:
                purge.send_signal(signal.SIGINT)
                purge.wait()
            spent += time.monotonic() - begun
            bench.progress.say(f"  without {without[-1]:,.0f}, beside {beside[-1]:,.0f} tasks/s")
            if beside[-1] == 0:
                raise DoesNotAddUp("The workers ran out of tasks before the purge was done: use fewer --seconds.")
        exit_code = _purge(deployment).wait()  # the lines, and the space
    if exit_code:
        raise DoesNotAddUp(f"The purge ended with exit code {exit_code}.")
    return Rates(without, beside, spent)


def _purge(deployment: Deployment) -> "subprocess.Popen[bytes]":
    url = deployment.services.engine.url.render_as_string(hide_password=False)
    environment = {**os.environ, "DATABASE_URL": url.replace("+psycopg2", ""), "LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-m", "app.cli", "purge", "--archived-before", "0d"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)


def _first_task(deployment: Deployment, batch_id: int) -> int:
    return deployment.number(f"SELECT coalesce(min(id), 0) FROM tasks WHERE batch_id = {batch_id} AND run = 1")


def _rate(deployment: Deployment, batch_id: int, seconds: float) -> float:
    def completed() -> int:
        return deployment.number(f"SELECT sum(completed) FROM task_counts WHERE batch_id = {batch_id}")

    begun, before = time.monotonic(), completed()
    time.sleep(seconds)
    return (completed() - before) / (time.monotonic() - begun)


@contextmanager
def _workers(deployment: Deployment, batch_id: int) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.worker_process", deployment.server.url, str(batch_id), str(AT_ONCE)]
    environment = {**os.environ, "BENCH_TOKEN": deployment.server.tokens["worker"]}
    workers = [
        subprocess.Popen(
            [*command, f"worker-{number}"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        for number in range(WORKERS)
    ]
    try:
        for worker in workers:
            assert worker.stdin
            worker.stdin.write(b"go\n")
            worker.stdin.flush()
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def _bytes(deployment: Deployment) -> str:
    """Measure what the database takes on the disk."""
    engine = deployment.services.engine
    if engine.dialect.name == "sqlite":
        return f"{Path(str(engine.url.database)).stat().st_size / 1e6:,.0f} MB"
    return f"{deployment.number('SELECT pg_database_size(current_database())') / 1e6:,.0f} MB"


def _check(deployment: Deployment, batch_id: int) -> None:
    """Check that nothing of the purged batch is left but its row and its audit trail."""
    for table in ("tasks", "ready_tasks", "documents", "deletions"):
        if left := deployment.number(f"SELECT count(*) FROM {table} WHERE batch_id = {batch_id}"):
            raise DoesNotAddUp(f"{left} rows of the purged batch are left in {table}")
    trail = [row[0] for row in deployment.rows(f"SELECT trigger FROM audit_log WHERE batch_id = {batch_id}")]
    if trail.count("purge") != 1 or trail.count("create") != 1:
        raise DoesNotAddUp(f"The audit trail of the purged batch is {trail}.")
