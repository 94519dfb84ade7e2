"""What the tasks of a batch wait for: workers that can do them, and circuits that are closed."""

from datetime import datetime
from typing import TypedDict

from sqlalchemy import Connection

from app.domain.connection.abilities import Target
from app.domain.leases import TaskKind
from app.domain.times import Time, rfc3339
from app.services.connection import circuits, targets
from app.services.connection.circuits import CircuitRow
from app.services.connection.present_workers import is_served, present_workers

NOBODY = "no present worker can do it"

# By call: `class` is a word of Python.
WaitingFor = TypedDict(
    "WaitingFor",
    {
        "kind": str,
        "connection": str | None,
        "model": str | None,
        "endpoint": str | None,
        "class": str | None,
        "reason": str | None,
        "since": Time | None,
        "next_try_at": Time | None,
    },
)


def waiting_for(connection: Connection, batch_id: int, now: datetime | None = None) -> list[WaitingFor]:
    """Say what the queued tasks of a batch that is at work or paused wait for."""
    found = targets.queued(connection, batch_id)
    if not found:
        return []
    workers = present_workers(connection, now)
    unserved = [_unserved(each.target) for each in found if not is_served(each.target, workers)]
    closed = [row for row in circuits.closed(connection) if any(row.covers(each.target) for each in found)]
    return unserved + [_closed(row) for row in closed]


def unserved_targets(connection: Connection) -> int:
    """Count the targets of all batches whose tasks wait although no present worker can do them."""
    workers = present_workers(connection)
    return sum(not is_served(each.target, workers) for each in targets.queued(connection, at_work=True))


def _unserved(target: Target) -> WaitingFor:
    return {
        "kind": target.kind,
        "connection": target.connection,
        "model": target.model,
        "endpoint": target.endpoint,
        "class": None,
        "reason": NOBODY,
        "since": None,
        "next_try_at": None,
    }


def _closed(row: CircuitRow) -> WaitingFor:
    return {
        "kind": TaskKind.ANALYZE,
        "connection": row.connection,
        "model": row.model,
        "endpoint": None,
        "class": row.error_class,
        "reason": row.reason,
        "since": rfc3339(row.since),
        "next_try_at": rfc3339(row.next_try_at),
    }
