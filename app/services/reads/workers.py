"""Workers: when each was last seen, what it holds, how fast it is, and who works on a batch now.

Every read is bounded. A worker is known by the name in its leases.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, func, select

from app import db
from app.db import reading
from app.domain.leases import is_silent, stands_still
from app.domain.times import rfc3339
from app.models import IS_LEASED, Task, WorkerSighting
from app.services.queue.worker_sightings import minute_of
from app.services.reads.failed_tasks import by_worker

MOST_WORKERS = 200
MOST_LEASES = 10_000
MOST_PRESENT = 50  # workers of one batch
MOST_LEASES_OF_BATCH = 5_000
LEASE_SECONDS = 60  # of a lease, unless its batch has another length

_seen = db.table_of(WorkerSighting)
_tasks = db.table_of(Task)
# A literal: SQLite uses a partial index only when its condition stands in the statement.
_LEASES = (
    select(_tasks.c.leased_by, _tasks.c.batch_id, _tasks.c.lease_expires_at)
    .where(IS_LEASED)
    .order_by(_tasks.c.lease_expires_at.desc())
    .limit(MOST_LEASES)
    .subquery()
)
_HELD = select(
    _LEASES.c.leased_by,
    _LEASES.c.batch_id,
    func.count().label("amount"),
    func.min(_LEASES.c.lease_expires_at).label("next"),
).group_by(_LEASES.c.leased_by, _LEASES.c.batch_id)
# `+ 0` keeps the planner from the index of a run's tasks, which may be a million: the index of leased tasks holds
# those in flight alone.
_LEASES_OF_BATCH = (
    select(_tasks.c.leased_by, _tasks.c.lease_expires_at)
    .where(IS_LEASED, _tasks.c.batch_id + 0 == bindparam("batch_id"), _tasks.c.run + 0 == bindparam("run"))
    .order_by(_tasks.c.lease_expires_at)
    .limit(MOST_LEASES_OF_BATCH)
    .subquery()
)
_holder = _LEASES_OF_BATCH.c.leased_by
_PRESENT = (
    select(
        _holder.label("name"),
        func.count().label("tasks"),
        func.max(_LEASES_OF_BATCH.c.lease_expires_at).label("until"),
        _seen.c.last_seen_at,
    )
    .join(_seen, _seen.c.worker == _holder, isouter=True)
    .group_by(_holder, _seen.c.last_seen_at)
    .order_by(func.count().desc(), _holder)
    .limit(MOST_PRESENT)
)
_HEARD = (
    select(_LEASES.c.batch_id, func.max(_seen.c.last_seen_at).label("at"))
    .join(_seen, _seen.c.worker == _LEASES.c.leased_by)
    .where(_LEASES.c.batch_id.in_(bindparam("batch_ids", expanding=True)))
    .group_by(_LEASES.c.batch_id)
)
# Those that hold leases and have missed a heartbeat: the number in the bar of every page.
_HOLDING = select(_seen.c.worker, _seen.c.last_seen_at).where(
    _seen.c.worker.in_(select(_tasks.c.leased_by).where(IS_LEASED).limit(MOST_LEASES))
)


class PresentWorker(NamedTuple):
    """A worker that holds tasks of a batch, when its last lease expires, and for how long it was not heard of."""

    name: str | None
    tasks: int
    until: datetime | None
    quiet_seconds: float | None  # some seconds too many, since sightings are written seldom; None if it is not known
    is_silent: bool

    @property
    def is_heard(self) -> bool:
        """Whether it is known to send heartbeats."""
        return self.quiet_seconds is not None and not self.is_silent


def silent_seconds(worker: Mapping[str, Any], at: str) -> float | None:
    """Say for how long a worker of `seen` was not heard of at a time, if it holds leases and missed a heartbeat."""
    quiet = (datetime.fromisoformat(at) - datetime.fromisoformat(worker["last_seen_at"])).total_seconds()
    return quiet if worker["held"] and is_silent(quiet, LEASE_SECONDS) else None


def still_seconds(worker: Mapping[str, Any], at: str) -> float | None:
    """Say for how long a worker of `seen` has neither taken nor reported a task, if it holds some and it is long."""
    last = worker["last_work_at"]
    still = (datetime.fromisoformat(at) - datetime.fromisoformat(last)).total_seconds() if last else 0.0
    return still if worker["held"] and stands_still(still, LEASE_SECONDS) else None


def workers_on(
    connection: Connection, batch_id: int, run: int, lease_seconds: int, now: datetime
) -> list[PresentWorker]:
    """List the workers that hold leases of a run, the one with the most leases first."""
    found = []
    for row in connection.execute(_PRESENT, {"batch_id": batch_id, "run": run}):
        quiet = None if row.last_seen_at is None else max(0.0, (now - row.last_seen_at).total_seconds())
        silent = quiet is not None and is_silent(quiet, lease_seconds)
        found.append(PresentWorker(row.name, row.tasks, row.until, quiet, silent))
    return found


def heard_last(connection: Connection, batch_ids: Sequence[int]) -> dict[int, datetime]:
    """Give when a worker that holds tasks of a batch was heard last, by the batch's id."""
    rows: Any = connection.execute(_HEARD, {"batch_ids": list(batch_ids)}) if batch_ids else ()
    return {row.batch_id: row.at for row in rows}


class Workers:
    """Reads workers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def seen(self, name: str | None = None) -> dict[str, Any]:
        """List the workers last seen, newest first, with what they hold; `name` is a part of the name, in any case.

        What a worker did is shown some seconds later.
        """
        statement = select(_seen, func.count().over().label("total"))
        statement = statement.order_by(_seen.c.last_seen_at.desc(), _seen.c.worker)
        if name:
            statement = statement.where(_seen.c.worker.icontains(name, autoescape=True))
        with reading(self._engine) as connection:
            now = db.now(connection)
            rows = connection.execute(statement.limit(MOST_WORKERS)).all()
            held: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
            for row in connection.execute(_HELD):
                lease = {"batch_id": row.batch_id, "amount": row.amount, "next_expires_at": rfc3339(row.next)}
                held[row.leased_by].append(lease)
        workers = [{**_view(row, minute_of(now)), "held": held[row.worker]} for row in rows]
        return {"workers": workers, "total": rows[0].total if rows else 0, "at": rfc3339(now)}

    def silent(self) -> int:
        """Count the workers that hold leases and were not heard of for too long."""
        with reading(self._engine) as connection:
            now = db.now(connection)
            rows = connection.execute(_HOLDING).all()
        return sum(is_silent((now - row.last_seen_at).total_seconds(), LEASE_SECONDS) for row in rows)

    def failures(self) -> list[dict[str, Any]]:
        """Group the newest failed tasks by worker and error code, the largest group first."""
        with reading(self._engine) as connection:
            return by_worker(connection)


def _view(row: Any, minute: int) -> dict[str, Any]:
    # The last whole minute, since the present one is not over.
    rate = {minute: row.previous_reports, minute - 1: row.minute_reports}.get(row.minute, 0)
    return {
        "worker": row.worker,
        "first_seen_at": rfc3339(row.first_seen_at),
        "last_seen_at": rfc3339(row.last_seen_at),
        "last_work_at": rfc3339(row.last_work_at),
        "leased": row.leased,
        "completed": row.completed,
        "failed": row.failed,
        "reports_a_minute": rate,
        "can": row.can,
    }
