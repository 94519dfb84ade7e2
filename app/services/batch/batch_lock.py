"""The lock of a batch: how one transaction takes it, and what it sees of the batch under it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, column, func, literal_column, select, text
from sqlalchemy.dialects.postgresql import psycopg2

from app import db
from app.domain.request_status import RequestStatus
from app.models import StateChangeRequest
from app.services.batch.batch_rows import CLOCK, ONE_SEEN, BatchRecord, RunCounts

_waiting = select(func.count()).where(
    StateChangeRequest.batch_id == bindparam("batch_id"),
    StateChangeRequest.status == literal_column(repr(str(RequestStatus.QUEUED))),
)
_IN_LINE = ONE_SEEN.add_columns(_waiting.scalar_subquery().label("waiting"))

# First the row, then the workers' lock, which leases and reports of the batch share: while somebody else
# holds the row, waiting for it stops no worker. Key sharing lets children be inserted meanwhile.
_TAKE = (
    "SELECT pg_advisory_xact_lock(id) FROM (SELECT id FROM batches"
    " WHERE id = :batch_id AND archived_at IS NULL FOR NO KEY UPDATE{if_held}) AS locked"
)
_TAKE_IF_FREE = text(_TAKE.format(if_held=" SKIP LOCKED"))


def _taken_and_seen() -> Any:
    # Two statements in one round trip, and not one: the second has a snapshot of its own, which shows all that was
    # committed before the lock was to be had. So its clock, too, is later than every lease before it.
    seen = _IN_LINE.add_columns(CLOCK)
    sql = str(seen.compile(dialect=psycopg2.dialect(paramstyle="named")))  # type: ignore[no-untyped-call]
    columns = [column(each.name, each.type) for each in seen.selected_columns]
    taken_and_seen = text(f"{_TAKE.format(if_held='')}; {sql}").columns(*columns)
    return taken_and_seen.execution_options(prepared="take_and_see")


_TAKE_AND_SEE = _taken_and_seen()


@dataclass(frozen=True)
class Locked:
    """A batch whose row this transaction holds, its counts, and the database's time."""

    batch: BatchRecord
    now: datetime
    counts: RunCounts = field(default_factory=RunCounts)


def lock(connection: Connection, batch_id: int, if_free: bool = False) -> Locked | None:
    """Lock a batch for a change; None if it is archived, unknown or, with `if_free`, locked by someone else.

    Raises the driver's lock error when the row is not to be had within the connection's lock_timeout.
    """
    values = {"batch_id": batch_id}
    if not db.is_postgresql(connection):  # BEGIN IMMEDIATE has locked everything already
        row = connection.execute(_IN_LINE, values).one_or_none()
    elif if_free and connection.execute(_TAKE_IF_FREE, values).one_or_none() is None:
        return None
    else:
        row = connection.execute(_TAKE_AND_SEE, values).one_or_none()
    if row is None:
        return None
    now = row.now if db.is_postgresql(connection) else db.now(connection)
    return Locked(BatchRecord.of(row), now, RunCounts.of(row, row.waiting))


def count(connection: Connection, batch_id: int) -> RunCounts:
    """Read the counts of a locked batch's present run anew."""
    row = connection.execute(_IN_LINE, {"batch_id": batch_id}).one()
    return RunCounts.of(row, row.waiting)
