"""Single reports for one batch, compared with reports for 1,000 batches: shows whether there is a hot row."""

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from statistics import median
from typing import Any

from bench import make_batches
from bench.deployment import Deployment, DoesNotAddUp, deployed
from bench.load import load, request_line
from bench.options import Bench
from bench.results import Result
from bench.rounds import alternate, ratio

BATCHES = 1_000
MAX_REPORTS_A_SECOND = 1_500  # tasks are prepared for this rate; with a faster service the round ends early
FLOOR = 0.8
MAX_LEASES = 1_000
LEASE_SECONDS = 3_600
WARM_UP_SECONDS = 1
_RESULT = {"text": "An answer.", "usage": {"input_tokens": 12, "output_tokens": 3}}


class Leased:
    """Tasks that were leased before the measurement. Each is reported once."""

    def __init__(self, tasks: Iterable[Any]) -> None:
        self._lines = iter(
            [
                request_line(f"/api/tasks/{t['id']}/complete", {"lease_token": t["lease_token"], "result": _RESULT})
                for t in tasks
            ]
        )

    def take(self, amount: int) -> list[str]:
        """Take the next `amount` requests."""
        return [line for line, _ in zip(self._lines, range(amount), strict=False)]


def lease(bench: Bench, deployment: Deployment, batches: Sequence[int], each: int) -> list[list[Any]]:
    """Lease the given number of tasks of each batch."""
    leased = []
    with deployment.caller("worker") as caller:
        for number, batch_id in enumerate(batches):
            tasks: list[Any] = []
            while len(tasks) < each:
                wanted = {
                    "worker": "bench",
                    "batch_id": batch_id,
                    "max_tasks": min(MAX_LEASES, each - len(tasks)),
                    "lease_seconds": LEASE_SECONDS,
                }
                tasks += caller.post("/api/tasks/lease", wanted)["tasks"]
            leased.append(tasks)
            bench.progress.count("batches leased from", number + 1, len(batches))
    return leased


def _report(deployment: Deployment, leased: Leased, seconds: int) -> float:
    """Report single tasks for the given seconds; return the reports per second. Raises DoesNotAddUp."""
    count = "SELECT count(*) FROM tasks WHERE status = 'COMPLETED'"
    before = deployment.number(count)
    done = load(deployment.server, "worker", leased.take(MAX_REPORTS_A_SECOND * seconds), seconds, once=True)
    completed = deployment.number(count) - before
    if completed != done.ok:
        raise DoesNotAddUp(f"{done.ok} reports answered, but {completed} tasks completed")
    return done.per_second


def single(bench: Bench) -> list[Result]:
    """Complete single tasks of one batch and of 1,000 batches in turns. No batch ends during this."""
    batches = bench.size(BATCHES, least=20)
    amount = MAX_REPORTS_A_SECOND * (bench.rounds * bench.seconds + WARM_UP_SECONDS)
    each = amount // batches + 1
    with deployed(bench) as deployment:
        one = make_batches.large(bench, deployment, amount + 1)
        many = make_batches.many(bench, deployment, batches, each + 1)
        bench.progress.say(f"leasing {2 * amount:,} tasks")
        into_one = Leased(lease(bench, deployment, [one], amount)[0])
        # Successive reports are for different batches.
        turns = zip_longest(*lease(bench, deployment, many, each))
        over_many = Leased(task for task in chain.from_iterable(turns) if task)
        bench.progress.say("single reports: into one batch and over many in turns")
        for leased in (into_one, over_many):
            _report(deployment, leased, WARM_UP_SECONDS)
        found = alternate(
            {
                "one": lambda: _report(deployment, into_one, bench.seconds),
                "spread": lambda: _report(deployment, over_many, bench.seconds),
            },
            bench.rounds,
            bench.progress,
        )
    return [
        Result(
            f"single reports into one batch, beside {batches:,} batches",
            f"{median(found['one']):,.0f} reports/s",
            f"spread {median(found['spread']):,.0f} reports/s",
            ratio(found["one"], found["spread"]),
            at_least=FLOOR,
        )
    ]
