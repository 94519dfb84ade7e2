"""An action over HTTP, beside the bare transaction in pgbench."""

import time
from collections.abc import Callable, Sequence
from statistics import median

from bench import bare, making
from bench.load import load, request_line
from bench.options import Bench
from bench.results import Result
from bench.rounds import alternate, ratio
from bench.scene import DoesNotAddUp, Scene, scene, scratch_database, sqlite_scene

BATCHES = 1_000
FLOOR = 0.20
FEWEST = 200  # with fewer, a pause might still be under way when its resume is sent
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


def toggles(scene: Scene) -> list[str]:
    """List the requests that pause and resume every live batch in turn, from the state in which each is now."""
    states = scene.rows("SELECT id, state FROM batches WHERE state IN ('ANALYZING', 'PAUSED') ORDER BY id")
    return [request_line(_path(batch_id), *_TURN[state]) for batch_id, state in states]


def resets(batches: Sequence[int]) -> list[str]:
    """List the requests that reset SAVED batches, which leaves them SAVED."""
    return [request_line(_path(batch_id), _RESET) for batch_id in batches]


def act(scene: Scene, lines: Callable[[], list[str]], seconds: int) -> float:
    """Send actions for so many seconds; return them by the second. Raises DoesNotAddUp.

    A request that was queued behind a lock is an action too, once it is applied: its audit row is awaited.
    """
    before = scene.audit_rows()
    done = load(scene.server, "operator", lines(), seconds)
    deadline = time.monotonic() + QUEUED_SECONDS
    while scene.number(_QUEUED) and time.monotonic() < deadline:
        time.sleep(0.1)
    written = scene.audit_rows() - before
    if written != done.ok + done.queued:
        raise DoesNotAddUp(f"{done.ok} actions done and {done.queued} queued, but {written} audit rows")
    return done.per_second


def _beside_bare(bench: Bench, what: str, batches: int, transaction: str, floor: float | None) -> Result:
    toggling = transaction is bare.TOGGLE
    with scene(bench) as there, scratch_database(bench) as scratch:
        bare.fill(scratch, batches, analyzing=toggling)
        made = making.many(bench, there, batches, run=toggling)
        lines = (lambda: toggles(there)) if toggling else (lambda: resets(made))
        bench.progress.say(f"{what}: service and pgbench in turns")
        act(there, lines, WARM_UP_SECONDS)
        bare.bare(scratch, transaction, batches, WARM_UP_SECONDS)
        found = alternate(
            {
                "service": lambda: act(there, lines, bench.seconds),
                "pgbench": lambda: bare.bare(scratch, transaction, batches, bench.seconds),
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
    """Pause and resume 1,000 batches in turn; then reset 1,000 that are SAVED."""
    batches = bench.size(BATCHES, least=FEWEST)
    return [
        _beside_bare(bench, f"pause, resume over {batches:,} batches", batches, bare.TOGGLE, FLOOR),
        _beside_bare(bench, f"reset of {batches:,} SAVED batches", batches, bare.RESET, FLOOR),
    ]


def hot(bench: Bench) -> list[Result]:
    """Reset one batch over and over, on all connections at once."""
    return [_beside_bare(bench, "reset of one hot batch", 1, bare.RESET, None)]


def sqlite(bench: Bench) -> list[Result]:
    """Reset SAVED batches of the embedded database, one server process as `make run` starts it.

    Not pause and resume: where writers queue without order, a resume may overtake its pause.
    """
    batches = bench.size(BATCHES, least=FEWEST)
    with sqlite_scene(bench) as there:
        made = making.many(bench, there, batches, run=False)
        bench.progress.say("actions on SQLite")
        act(there, lambda: resets(made), WARM_UP_SECONDS)
        found = alternate(
            {"actions": lambda: act(there, lambda: resets(made), bench.seconds)}, bench.rounds, bench.progress
        )
    what = f"SQLite, one process: reset of {batches:,} SAVED batches"
    return [Result(what, f"{median(found['actions']):,.0f} actions/s")]
