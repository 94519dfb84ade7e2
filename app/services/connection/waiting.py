"""What the tasks of a batch wait for: workers that can do them, and circuits that are closed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import Connection, literal_column

from app.domain.connection.abilities import Abilities, Target
from app.domain.leases import TaskKind
from app.domain.times import Time, rfc3339
from app.services.connection import circuits, targets
from app.services.connection.circuits import CircuitRow
from app.services.connection.present_workers import CAN_AS_JSON, is_served, present_abilities

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


# For a statement of PostgreSQL that reads batches: the numbers of the targets of which tasks wait, what the workers
# can do that are present, and whether a circuit is closed. For `waits_of`.
_WHATEVER_BATCH: tuple[Any, ...] = (
    literal_column(CAN_AS_JSON).label("can"),
    literal_column(circuits.ANY_CLOSED).label("any_closed"),
)
MAY_WAIT: tuple[Any, ...] = (literal_column(targets.QUEUED_NUMBERS).label("queued"), *_WHATEVER_BATCH)
# The same for a batch of which the targets are known: see targets.QUEUED_AMONG.
KNOWN_MAY_WAIT: tuple[Any, ...] = (targets.QUEUED_AMONG.label("queued"), *_WHATEVER_BATCH)


def waiting_for(connection: Connection, batch_id: int, now: datetime | None = None) -> list[WaitingFor]:
    """Say what the queued tasks of a batch that is at work or paused wait for."""
    found = [each.target for each in targets.queued(connection, batch_id)]
    if not found:
        return []
    return _waits(found, present_abilities(connection, now), circuits.closed(connection))


def waits_of(connection: Connection, row: Any, targets_of: Mapping[int, Target]) -> list[WaitingFor]:
    """Read the columns MAY_WAIT, as `waiting_for` reads a batch; its targets are given, by their numbers."""
    if not row.queued:
        return []
    closed = circuits.closed(connection) if row.any_closed else []
    found = [targets_of[number] for number in row.queued if number in targets_of]  # all, unless it has just changed
    return _waits(found, map(Abilities, row.can), closed)


def _waits(found: Sequence[Target], can: Iterable[Abilities], closed: Iterable[CircuitRow]) -> list[WaitingFor]:
    abilities = list(can)
    unserved = [_unserved(each) for each in found if not is_served(each, abilities)]
    return unserved + [_closed(row) for row in closed if any(map(row.covers, found))]


def unserved_targets(connection: Connection) -> int:
    """Count the targets of all batches whose tasks wait although no present worker can do them."""
    abilities = present_abilities(connection)
    return sum(not is_served(each.target, abilities) for each in targets.queued(connection, at_work=True))


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
