"""Workers at full speed: they lease 100 tasks and report 100, on one large batch, until it is COMPLETED."""

import time
from statistics import median

from bench import make_batches
from bench.deployment import Deployment, DoesNotAddUp, deployed
from bench.options import WORKER_PROCESSES, Bench
from bench.results import Result
from bench.worker_processes import run_workers

TASKS = 100_000
FLOOR = 5_000.0
AT_ONCE = 100


def bulk(bench: Bench) -> list[Result]:
    """Complete a batch of 100,000 tasks once in each round; it is the same batch, staged again."""
    tasks = bench.size(TASKS, least=2_000)
    rates, shares, staged = [], [], []
    with deployed(bench) as deployment, deployment.caller() as caller:
        bench.progress.say(f"making a batch of {tasks:,} tasks")
        batch_id = make_batches.create(caller, tasks)
        for number in range(1, bench.rounds + 1):
            begun = time.monotonic()
            make_batches.stage(bench, caller, batch_id, "stage" if number == 1 else "restage")
            staged.append(tasks / (time.monotonic() - begun))
            caller.act(batch_id, "run")
            rate, share = _complete(bench, deployment, batch_id, tasks)
            rates.append(rate)
            shares.append(share)
            bench.progress.say(f"  round {number} of {bench.rounds}: {rate:,.0f} tasks/s, staged {staged[-1]:,.0f}/s")
    what = f"lease {AT_ONCE} + report {AT_ONCE}, one batch of {tasks:,} tasks"
    clients = f"{WORKER_PROCESSES} client processes, {median(shares):.0%} of a core"
    return [
        Result(what, f"{median(rates):,.0f} tasks/s", clients, at_least=FLOOR, value=median(rates)),
        Result(f"staging of {tasks:,} ready-made tasks", f"{median(staged):,.0f} tasks/s"),
    ]


def _complete(bench: Bench, deployment: Deployment, batch_id: int, tasks: int) -> tuple[float, float]:
    """Let the workers complete the batch; return the tasks per second, and the share of a core that the workers used.

    Raises DoesNotAddUp unless the batch is COMPLETED, with each task completed and reported once.
    """
    done = run_workers(bench, deployment, batch_id, tasks, AT_ONCE)
    with deployment.caller() as caller:
        batch = caller.get(f"/api/batches/{batch_id}")
    reported = sum(client["reported"] for client in done)
    completed = deployment.number(
        f"SELECT count(*) FROM tasks WHERE batch_id = {batch_id} AND run = {batch['run']} AND status = 'COMPLETED'"
    )
    if not reported == completed == tasks or batch["state"] != "COMPLETED":
        raise DoesNotAddUp(f"{reported} reports, {completed} of {tasks} tasks completed, the batch {batch['state']}")
    seconds = max(client["ended_at"] for client in done) - min(client["begun_at"] for client in done)
    return tasks / seconds, sum(client["cpu_seconds"] for client in done) / seconds
