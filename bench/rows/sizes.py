"""Whether an action, or a GET, takes longer on a large batch.

A batch of 200,000 tasks and one of 20 get the same calls in turns: pause, resume, cancel, reset, each a single call
on one connection. After a reset, both become ANALYZING again with the tasks that they have. That is done by SQL, with
one version and one audit row for each step, as the triggers require. To stage 200,000 tasks again after every cancel
would take hours, and would measure nothing else.
"""

import time
from statistics import median
from typing import Any

from sqlalchemy import text

from bench import make_batches
from bench.api_caller import Caller
from bench.deployment import Deployment, deployed
from bench.options import Bench
from bench.results import Result

LARGE, SMALL = 200_000, 20
CYCLES_A_ROUND = 20
CEILING = 1.2
ACTIONS = ("pause", "resume", "cancel", "reset")
WITH_CEILING = ("pause", "cancel", "reset")
_LIFE = (
    ("stage", "action", "SAVED", "STAGING", ""),
    ("staging_completed", "event", "STAGING", "STAGED", ", staged_at = now()"),
    ("run", "action", "STAGED", "ANALYZING", ", started_at = now()"),
)


def analyze_again(deployment: Deployment, batches: tuple[int, ...]) -> None:
    """Make SAVED batches ANALYZING, with the tasks that they have."""
    with deployment.services.engine.begin() as connection:
        for batch_id in batches:
            for trigger, kind, source, target, times in _LIFE:
                values = {"id": batch_id, "trigger": trigger, "kind": kind, "source": source, "target": target}
                connection.execute(
                    text(
                        "UPDATE batches SET state = :target, version = version + 1, updated_at = now()"
                        f"{times} WHERE id = :id AND state = :source"
                    ),
                    values,
                )
                connection.execute(
                    text(
                        "INSERT INTO audit_log"
                        " (batch_id, version, trigger, kind, from_state, to_state, actor, role, context, at)"
                        " SELECT id, version, :trigger, :kind, :source, :target, 'bench', 'operator', '{}', now()"
                        " FROM batches WHERE id = :id"
                    ),
                    values,
                )


def milliseconds(caller: Caller, batch_id: int, action: str) -> float:
    """Time one action, or a GET."""
    begun = time.perf_counter()
    if action == "GET":
        caller.send("GET", f"/api/batches/{batch_id}")
    else:
        caller.act(batch_id, action)
    return (time.perf_counter() - begun) * 1000


def sizes(bench: Bench) -> list[Result]:
    """Time each action, and a GET, on both batches in turns."""
    tasks, cycles = bench.size(LARGE, least=2_000), max(3, bench.rounds * CYCLES_A_ROUND)
    took: dict[tuple[str, int], list[float]] = {}
    with deployed(bench) as deployment, deployment.caller() as caller:
        small, large = make_batches.many(bench, deployment, 1, SMALL)[0], make_batches.large(bench, deployment, tasks)
        bench.progress.say(f"actions on {tasks:,} tasks and on {SMALL} in turns")
        for cycle in range(-2, cycles):  # two to warm up
            for action in ("GET", *ACTIONS):
                for batch_id in (small, large) if cycle % 2 else (large, small):
                    spent = milliseconds(caller, batch_id, action)
                    if cycle >= 0:
                        took.setdefault((action, batch_id), []).append(spent)
            analyze_again(deployment, (small, large))
            bench.progress.count("cycles", cycle + 1, cycles)
    return [_result(action, took[action, large], took[action, small], tasks) for action in (*ACTIONS, "GET")]


def _result(action: str, large: list[float], small: list[float], tasks: int) -> Result:
    ceiling: dict[str, Any] = {"at_most": CEILING} if action in WITH_CEILING else {}
    what = "GET of a batch" if action == "GET" else action
    return Result(
        f"{what}: {tasks:,} tasks, beside {SMALL}",
        f"{median(large):.1f} ms",
        f"{median(small):.1f} ms",
        median(large) / median(small),
        **ceiling,
    )
