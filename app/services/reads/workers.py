"""The workers as an operator sees them: last seen, what they hold, how fast they are, what failed with them.

Every read is bounded. Who works is known by the names in leases alone.
"""

from collections import Counter, defaultdict
from typing import Any

from sqlalchemy import Engine, func, literal_column, select

from app import db
from app.db import reading
from app.domain.times import rfc3339
from app.models import Task, WorkerSighting
from app.services.queue.worker_sightings import Sightings, minute_of

MOST_WORKERS = 200
MOST_LEASES = 10_000
MOST_FAILURES = 500

_seen = db.table_of(WorkerSighting)
_tasks = db.table_of(Task)
# Statuses in so many words: SQLite uses a partial index only when its condition stands in the statement.
_LEASES = (
    select(_tasks.c.leased_by, _tasks.c.batch_id, _tasks.c.lease_expires_at)
    .where(_tasks.c.status == literal_column("'LEASED'"))
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
# In the order of their index, from its end: the failures of the newest batches.
_FAILURES = (
    select(_tasks.c.id, _tasks.c.batch_id, _tasks.c.leased_by, _tasks.c.error)
    .where(_tasks.c.status == literal_column("'FAILED'"))
    .order_by(_tasks.c.batch_id.desc(), _tasks.c.run.desc(), _tasks.c.kind.desc(), _tasks.c.id.desc())
    .limit(MOST_FAILURES)
)


class Workers:
    """What is known of workers."""

    def __init__(self, engine: Engine, sightings: Sightings) -> None:
        self._engine = engine
        self._sightings = sightings

    def seen(self, name: str | None = None) -> dict[str, Any]:
        """List the workers last seen, newest first, with what they hold; `name` is a part of the name, in any case."""
        self._sightings.write()
        statement, count = select(_seen).order_by(_seen.c.last_seen_at.desc(), _seen.c.worker), select(func.count())
        count = count.select_from(_seen)
        if name:
            matching = _seen.c.worker.icontains(name, autoescape=True)
            statement, count = statement.where(matching), count.where(matching)
        with reading(self._engine) as connection:
            now = db.now(connection)
            rows = connection.execute(statement.limit(MOST_WORKERS)).all()
            total: int = connection.execute(count).scalar_one()
            held: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
            for row in connection.execute(_HELD):
                lease = {"batch_id": row.batch_id, "amount": row.amount, "next_expires_at": rfc3339(row.next)}
                held[row.leased_by].append(lease)
        workers = [{**_view(row, minute_of(now)), "held": held[row.worker]} for row in rows]
        return {"workers": workers, "total": total, "at": rfc3339(now)}

    def failures(self) -> list[dict[str, Any]]:
        """Group the newest failed tasks by worker and error code, most first, each with its newest task."""
        with reading(self._engine) as connection:
            rows = connection.execute(_FAILURES).all()
        amounts: Counter[tuple[str, str]] = Counter()
        newest: dict[tuple[str, str], Any] = {}
        for row in rows:
            cause = (row.leased_by or "", str((row.error or {}).get("code", "unknown")))
            amounts[cause] += 1
            newest.setdefault(cause, row)
        return [
            {
                "worker": worker or None,
                "code": code,
                "amount": amount,
                "message": str((newest[worker, code].error or {}).get("message", "")),
                "batch_id": newest[worker, code].batch_id,
                "task_id": str(newest[worker, code].id),
            }
            for (worker, code), amount in amounts.most_common()
        ]


def _view(row: Any, minute: int) -> dict[str, Any]:
    # The last whole minute: the present one has only begun.
    rate = {minute: row.previous_reports, minute - 1: row.minute_reports}.get(row.minute, 0)
    return {
        "worker": row.worker,
        "first_seen_at": rfc3339(row.first_seen_at),
        "last_seen_at": rfc3339(row.last_seen_at),
        "leased": row.leased,
        "completed": row.completed,
        "failed": row.failed,
        "reports_a_minute": rate,
    }
