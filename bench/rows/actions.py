"""Actions over HTTP, compared with the same transaction in pgbench."""

import time
from collections.abc import Callable, Sequence
from statistics import median

from bench import make_batches, pgbench
from bench.deployment import Deployment, DoesNotAddUp, deployed, deployed_on_sqlite, scratch_database
from bench.load import load, request_line
from bench.options import Bench
from bench.results import Result
from bench.rounds import alternate, ratio

BATCHES = 1_000
FLOOR = 0.20
MIN_BATCHES = 200  # with fewer, a batch would get its resume while its pause is still being decided
WARM_UP_SECONDS = 1
QUEUED_SECONDS = 70  # the service applies or expires a queued request within REQUEST_TTL_S
_QUEUED = "SELECT count(*) FROM state_change_requests WHERE status = 'QUEUED'"
_TURN = {
    "ANALYZING": ({"action": "pause"}, {"action": "resume"}),
    "PAUSED": ({"action": "resume"}, {"action": "pause"}),
}
_RESET = {"action": "reset"}


def _path(batch_id: int) -> str:
    return f"/api/batches/{batch_id}/action"


def toggles(deployment: Deployment) -> list[str]:
    """List the requests that pause and resume every running batch in turn, starting from its present state."""
    states = deployment.rows("SELECT id, state FROM batches WHERE state IN ('ANALYZING', 'PAUSED') ORDER BY id")
    return [turn_of(batch_id, state) for batch_id, state in states]


def turn_of(batch_id: int, state: str) -> str:
    """Write the request that pauses and resumes a batch in turn, which now is in `state`."""
    return request_line(_path(batch_id), *_TURN[state])


def resets(batches: Sequence[int]) -> list[str]:
    """List the requests that reset SAVED batches. They stay SAVED."""
    return [request_line(_path(batch_id), _RESET) for batch_id in batches]


def act(deployment: Deployment, lines: Callable[[], list[str]], seconds: int) -> float:
    """Send actions for the given seconds; return the actions per second. Raises DoesNotAddUp.

    A request that was queued behind a lock counts, too: this waits until it is applied and has its audit row.
    """
    before = deployment.audit_rows()
    done = load(deployment.server, "operator", lines(), seconds)
    deadline = time.monotonic() + QUEUED_SECONDS
    while deployment.number(_QUEUED) and time.monotonic() < deadline:
        time.sleep(0.1)
    written = deployment.audit_rows() - before
    if written != done.ok + done.queued:
        raise DoesNotAddUp(f"{done.ok} actions done and {done.queued} queued, but {written} audit rows")
    return done.per_second


def _compared_with_pgbench(bench: Bench, what: str, batches: int, transaction: str, floor: float | None) -> Result:
    toggling = transaction is pgbench.TOGGLE
    with deployed(bench) as deployment, scratch_database(bench) as scratch:
        pgbench.fill(scratch, batches, analyzing=toggling)
        made = make_batches.many(bench, deployment, batches, run=toggling)
        lines = (lambda: toggles(deployment)) if toggling else (lambda: resets(made))
        bench.progress.say(f"{what}: service and pgbench in turns")
        act(deployment, lines, WARM_UP_SECONDS)
        pgbench.rate(scratch, transaction, batches, WARM_UP_SECONDS)
        found = alternate(
            {
                "service": lambda: act(deployment, lines, bench.seconds),
                "pgbench": lambda: pgbench.rate(scratch, transaction, batches, bench.seconds),
            },
            bench.rounds,
            bench.progress,
        )
    return Result(
        what,
        f"{median(found['service']):,.0f} actions/s",
        f"pgbench {median(found['pgbench']):,.0f} tx/s",
        ratio(found["service"], found["pgbench"]),
        at_least=floor,
    )


def spread(bench: Bench) -> list[Result]:
    """Pause and resume 1,000 batches in turn; then reset 1,000 SAVED batches."""
    batches = bench.size(BATCHES, least=MIN_BATCHES)
    return [
        _compared_with_pgbench(bench, f"pause, resume over {batches:,} batches", batches, pgbench.TOGGLE, FLOOR),
        _compared_with_pgbench(bench, f"reset of {batches:,} SAVED batches", batches, pgbench.RESET, FLOOR),
    ]


def hot(bench: Bench) -> list[Result]:
    """Reset one batch again and again, on all connections at the same time."""
    return [_compared_with_pgbench(bench, "reset of one hot batch", 1, pgbench.RESET, None)]


def sqlite(bench: Bench) -> list[Result]:
    """Reset SAVED batches on SQLite, with one server process as `make run` starts it.

    Pause and resume are not used: SQLite's writers have no order, so a resume could be decided before its pause.
    """
    batches = bench.size(BATCHES, least=MIN_BATCHES)
    with deployed_on_sqlite(bench) as deployment:
        made = make_batches.many(bench, deployment, batches, run=False)
        bench.progress.say("actions on SQLite")
        act(deployment, lambda: resets(made), WARM_UP_SECONDS)
        found = alternate(
            {"actions": lambda: act(deployment, lambda: resets(made), bench.seconds)}, bench.rounds, bench.progress
        )
    what = f"SQLite, one process: reset of {batches:,} SAVED batches"
    return [Result(what, f"{median(found['actions']):,.0f} actions/s")]
