"""Whether calls take longer on a batch of 1,000,000 tasks than on one of 20, whatever else the database holds.

Both batches get the same calls in turns, as in the row `size`, and leases: alone, beside 5,000,000 finished tasks, and
at the end of ten minutes in which a session holds a snapshot open, so that no dead row can be removed.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any

from bench import make_batches
from bench.api_caller import Caller
from bench.deployment import Deployment, deployed
from bench.options import Bench
from bench.results import Result
from bench.rows.sizes import ACTIONS, CEILING, SMALL, analyze_again, milliseconds
from bench.rows.snapshots import add_history, held_snapshot

LARGE, FINISHED, SNAPSHOT_SECONDS = 1_000_000, 5_000_000, 600.0
CYCLES = 60  # of which the medians are taken
AT_ONCE = 10  # tasks of a lease
CALLS = ("lease", "GET", *ACTIONS)

Times = dict[str, tuple[list[float], list[float]]]  # of the small batch and of the large one, by call


class _Batches:
    """The small batch and the large one, and the callers that send the calls."""

    def __init__(self, bench: Bench, deployment: Deployment, stack: ExitStack) -> None:
        self.tasks = bench.size(LARGE, least=2_000)
        self._deployment = deployment
        self._operator: Caller = stack.enter_context(deployment.caller())
        self._worker: Caller = stack.enter_context(deployment.caller("worker"))
        small = make_batches.many(bench, deployment, 1, SMALL)[0]
        self._pair = (small, make_batches.large(bench, deployment, self.tasks))

    def timed(self, is_over: Callable[[int], bool]) -> Times:
        """Send all calls to both in turns until `is_over`, which gets the number of cycles; return the last CYCLES."""
        took: Times = {call: ([], []) for call in CALLS}
        cycle = 0
        while not is_over(cycle):
            for call in CALLS:
                for place in (0, 1) if cycle % 2 else (1, 0):
                    took[call][place].append(self._milliseconds(call, self._pair[place]))
            analyze_again(self._deployment, self._pair)
            cycle += 1
        return {call: (small[-CYCLES:], large[-CYCLES:]) for call, (small, large) in took.items()}

    def _milliseconds(self, call: str, batch_id: int) -> float:
        if call != "lease":
            return milliseconds(self._operator, batch_id, call)
        wanted = {"worker": "bench", "batch_id": batch_id, "max_tasks": AT_ONCE}
        begun = time.perf_counter()
        leased = self._worker.post("/api/tasks/lease", wanted)["tasks"]
        spent = (time.perf_counter() - begun) * 1000
        refs = [{"task_id": task["id"], "lease_token": task["lease_token"]} for task in leased]
        self._worker.post("/api/tasks/release", {"leases": refs})
        return spent


def flat(bench: Bench) -> list[Result]:
    """Time actions, a GET and a lease on both batches: alone, beside 5,000,000 finished tasks, under a snapshot."""
    finished, seconds = bench.size(FINISHED, least=1_000), bench.size(int(SNAPSHOT_SECONDS), least=2)
    with deployed(bench) as deployment, ExitStack() as stack:
        batches = _Batches(bench, deployment, stack)
        bench.progress.say("actions, GETs and leases of both batches in turns")
        found = {"": batches.timed(lambda cycle: cycle >= CYCLES)}
        bench.progress.say(f"making {finished:,} finished tasks")
        add_history(deployment.services, finished)
        found[f", {finished:,} finished tasks"] = batches.timed(lambda cycle: cycle >= CYCLES)
        bench.progress.say(f"holding a snapshot open for {seconds} s")
        stack.enter_context(held_snapshot(deployment.services))
        until = time.monotonic() + seconds
        found[f", and a snapshot held for {seconds} s"] = batches.timed(lambda _: time.monotonic() >= until)
    return [_result(call, batches.tasks, beside, *times[call]) for beside, times in found.items() for call in CALLS]


def _result(call: str, tasks: int, beside: str, small: list[float], large: list[float]) -> Result:
    ceiling: dict[str, Any] = {"at_most": CEILING} if call != "resume" else {}
    what = f"{call}: {tasks:,} tasks, beside {SMALL}{beside}"
    over = median(large) / median(small)
    return Result(what, f"{median(large):.1f} ms", f"{median(small):.1f} ms", over, **ceiling)
