"""The lock of a batch: how a transaction takes it, and what it reads of the batch under it."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select, text

from app import db
from app.models import IS_CLOSED, IS_WAITING, Circuit, StateChangeRequest
from app.prepared_statements import Prepared
from app.services.batch.batch_rows import ONE_AND_CLOCK, ONE_ARCHIVED, ONE_SEEN, BatchRecord, RunCounts

_waiting = select(func.count()).where(
    StateChangeRequest.batch_id == bindparam("batch_id"),
    IS_WAITING,
)
_any_closed = select(Circuit.connection).where(IS_CLOSED).exists()
_beside = (_waiting.scalar_subquery().label("waiting"), _any_closed.label("any_circuit_closed"))
_IN_LINE = ONE_SEEN.add_columns(*_beside)

# First the row, then the advisory lock that leases and reports of the batch share: a transaction that waits for the
# row does not stop workers. NO KEY UPDATE lets other transactions insert rows that refer to the batch.
_TAKE = (
    "SELECT pg_advisory_xact_lock(id) FROM (SELECT id FROM batches"
    " WHERE id = :batch_id AND archived_at IS {archived} FOR NO KEY UPDATE{if_held}) AS locked"
)
_TAKE_IF_FREE = text(_TAKE.format(archived="NULL", if_held=" SKIP LOCKED"))
_TAKE_ARCHIVED = text(_TAKE.format(archived="NOT NULL", if_held=""))
# One statement would not do: the second has a snapshot of its own, which shows everything that was committed before the
# lock was granted. Its clock, too, is later than every lease before it.
_TAKE_AND_SEE = Prepared(
    "take_and_see", text(_TAKE.format(archived="NULL", if_held="")), ONE_AND_CLOCK.add_columns(*_beside)
)


@dataclass(frozen=True)
class Locked:
    """A batch whose row this transaction has locked, its counts, and the database's time."""

    batch: BatchRecord
    now: datetime
    counts: RunCounts = field(default_factory=RunCounts)
    any_circuit_closed: bool = False  # of any connection


def lock(connection: Connection, batch_id: int, if_free: bool = False) -> Locked | None:
    """Lock a batch for a change; None if it is archived, unknown or, with `if_free`, locked by another transaction.

    Raises the driver's lock error if the lock is not granted within the connection's lock_timeout.
    """
    values = {"batch_id": batch_id}
    if not db.is_postgresql(connection):  # BEGIN IMMEDIATE has locked the whole database
        row = connection.execute(_IN_LINE, values).one_or_none()
    elif if_free and connection.execute(_TAKE_IF_FREE, values).one_or_none() is None:
        return None
    else:
        row = _TAKE_AND_SEE.row(connection, batch_id=batch_id)
    if row is None:
        return None
    if db.is_postgresql(connection):
        now, counts = row.now, RunCounts.of_kinds(row.counts, row.waiting)
    else:
        now, counts = db.now(connection), RunCounts.of(row, row.waiting)
    return Locked(BatchRecord.of(row), now, counts, row.any_circuit_closed)


def lock_archived(connection: Connection, batch_id: int) -> Locked | None:
    """Lock a batch that is archived; None if there is none. Raises the driver's lock error."""
    values = {"batch_id": batch_id}
    if db.is_postgresql(connection):
        connection.execute(_TAKE_ARCHIVED, values)
    row = connection.execute(ONE_ARCHIVED, values).one_or_none()
    return None if row is None else Locked(BatchRecord.of(row), db.now(connection), RunCounts.of(row))


def count(connection: Connection, batch_id: int) -> RunCounts:
    """Read the counts of a locked batch's present run again."""
    row = connection.execute(_IN_LINE, {"batch_id": batch_id}).one()
    return RunCounts.of(row, row.waiting)
