"""Whether actions and workers' calls are as fast with 50 watching browsers as with none, in alternating rounds."""

import time
from contextlib import nullcontext
from statistics import median

from bench import make_batches
from bench.browsers import watching
from bench.deployment import Deployment, deployed
from bench.options import Bench
from bench.results import Result
from bench.rounds import alternate, ratio
from bench.rows.actions import MIN_BATCHES, act, toggles

WATCHERS = 50
BATCHES = 1_000
TASKS_A_SECOND = 15_000  # tasks are prepared for this rate; with a faster service the round ends early
AT_ONCE = 100
FLOOR = 0.95


def watchers(bench: Bench) -> list[Result]:
    """Lease and report, then pause and resume, with 50 watching browsers and with none in turns."""
    with deployed(bench) as deployment:
        many = make_batches.many(bench, deployment, bench.size(BATCHES, least=MIN_BATCHES))
        worked = make_batches.large(bench, deployment, TASKS_A_SECOND * bench.seconds * bench.rounds * 2)
        found = {}
        for what, measure, watched in (
            ("lease 100 + report 100", lambda: _work(deployment, worked, bench.seconds), worked),
            ("pause, resume", lambda: act(deployment, lambda: toggles(deployment), bench.seconds), many[0]),
        ):
            bench.progress.say(f"{what}: with {WATCHERS} watchers and with none in turns")

            def beside(amount: int, measure=measure, watched=watched) -> float:  # type: ignore[no-untyped-def]
                with watching(deployment, amount, watched) if amount else nullcontext():
                    return float(measure())

            measures = {"watched": lambda beside=beside: beside(WATCHERS), "alone": lambda beside=beside: beside(0)}
            found[what] = alternate(measures, bench.rounds, bench.progress)
    return [
        Result(
            f"{what}, {WATCHERS} browsers watching",
            f"{median(rates['watched']):,.0f}/s",
            f"none watching {median(rates['alone']):,.0f}/s",
            ratio(rates["watched"], rates["alone"]),
            at_least=FLOOR,
        )
        for what, rates in found.items()
    ]


def _work(deployment: Deployment, batch_id: int, seconds: int) -> float:
    """Lease and report tasks for the given seconds on one connection; return the tasks per second."""
    done, begun = 0, time.monotonic()
    with deployment.caller("worker") as worker:
        wanted = {"worker": "bench", "batch_id": batch_id, "max_tasks": AT_ONCE}
        while time.monotonic() - begun < seconds and (tasks := worker.post("/api/tasks/lease", wanted)["tasks"]):
            make_batches.report(worker, tasks, {"text": "An answer."})
            done += len(tasks)
    return done / (time.monotonic() - begun)
