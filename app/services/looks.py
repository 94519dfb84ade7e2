"""Batches with their facts as they were last committed: one statement, one snapshot, waiting for nobody."""

from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select

from app import db
from app.domain import transitions
from app.domain.facts import Facts
from app.domain.leases import TaskKind
from app.domain.transitions import Kind
from app.errors import NotFound
from app.models import Batch, TaskCounts
from app.services.records import COLUMNS, COUNT_SUMS, BatchRecord, facts_of, run_counts

_counts = db.table_of(TaskCounts)
_present_run = (_counts.c.batch_id == Batch.id) & (_counts.c.run == Batch.run)
_clock = func.clock_timestamp(type_=db.UtcTime)

# One row for each kind of task of the batch's present run, or one for none.
LOOK: Any = (
    select(*COLUMNS, _counts.c.kind, *COUNT_SUMS)
    .join(_counts, _present_run, isouter=True)
    .where(Batch.archived_at.is_(None))
    .group_by(Batch.id, _counts.c.kind)
)
_ONE = LOOK.where(Batch.id == bindparam("batch_id"))
_ONE_AND_CLOCK = _ONE.add_columns(_clock)

_WITH_EVENTS = sorted({source for t in transitions.TABLE if t.kind is Kind.EVENT for source in t.sources})
_open = func.sum(_counts.c.queued + _counts.c.leased)
_nothing_open_or_failed = (_counts.c.kind == TaskKind.ANALYZE) & ((_open == 0) | (func.sum(_counts.c.failed) > 0))
# A batch may need an event, or tasks written, only if it is staging, an analysis task failed, or none is open.
_UNSETTLED = LOOK.where(Batch.state.in_(_WITH_EVENTS)).having(
    or_(Batch.state.in_(sorted(transitions.BEGINS_RUN)), _nothing_open_or_failed)
)


def look(connection: Connection, batch_id: int) -> tuple[BatchRecord, Facts]:
    """Look at one batch. Raises NotFound."""
    on_postgresql = db.is_postgresql(connection)
    rows = connection.execute(_ONE_AND_CLOCK if on_postgresql else _ONE, {"batch_id": batch_id}).all()
    if not rows:
        raise NotFound("batch", batch_id)
    now = rows[0][-1] if on_postgresql else db.now(connection)
    return _batches(rows, now)[0]


def look_at(connection: Connection, statement: Any) -> list[tuple[BatchRecord, Facts]]:
    """Look at the batches that `statement` (LOOK with conditions) finds, newest first."""
    rows = connection.execute(statement).all()
    return _batches(rows, db.now(connection)) if rows else []


def look_at_unsettled(connection: Connection) -> list[tuple[BatchRecord, Facts]]:
    """Look at the batches that may be due an event, or a slice of tasks."""
    ids = [batch.id for batch, _ in look_at(connection, _UNSETTLED)]
    return look_at(connection, LOOK.where(Batch.id.in_(ids))) if ids else []


def _batches(rows: Any, now: Any) -> list[tuple[BatchRecord, Facts]]:
    kinds: dict[int, dict[str, Any]] = {}
    found: dict[int, BatchRecord] = {}
    first = len(COLUMNS)
    for row in rows:
        if row.id not in found:
            found[row.id] = BatchRecord.of(row)
            kinds[row.id] = {}
        if row.kind is not None:
            kinds[row.id][row.kind] = row[first + 1 : first + 1 + len(COUNT_SUMS)]
    return [(found[i], facts_of(found[i], run_counts(kinds[i]), now)) for i in sorted(found, reverse=True)]
