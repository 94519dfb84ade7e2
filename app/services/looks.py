"""Batches with their facts as they were last committed: one statement, one snapshot, waiting for nobody."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, or_

from app import db
from app.domain import transitions
from app.domain.facts import Facts
from app.domain.transitions import Kind
from app.errors import NotFound
from app.models import Batch
from app.services.records import ANALYSIS_SUMS, CLOCK, ONE_SEEN, SEEN, USAGE_SUMS, BatchRecord, RunCounts, facts_of

_ONE_AND_CLOCK = ONE_SEEN.add_columns(CLOCK).execution_options(prepared="see")
_SOME = SEEN.where(Batch.id.in_(bindparam("batch_ids", expanding=True)))
_WITH_EVENTS = sorted({source for t in transitions.TABLE if t.kind is Kind.EVENT for source in t.sources})
_queued, _leased, _, _failed, *_ = (label.element for label in ANALYSIS_SUMS)
_input_tokens, _output_tokens, _cost = (label.element for label in USAGE_SUMS)
_may_have_crossed = or_(
    _cost >= Batch.max_cost_nanos,
    _input_tokens + _output_tokens >= Batch.max_tokens,
    Batch.max_failure_rate.is_not(None),
)
# A batch may need an event, a pause, or tasks written, only if it is staging, an analysis task failed, none is open,
# or it has a limit.
_UNSETTLED = (
    SEEN.with_only_columns(Batch.id)
    .where(Batch.state.in_(_WITH_EVENTS))
    .having(
        or_(Batch.state.in_(sorted(transitions.BEGINS_RUN)), _queued + _leased == 0, _failed > 0, _may_have_crossed)
    )
)


def look(connection: Connection, batch_id: int) -> tuple[BatchRecord, Facts]:
    """Look at one batch. Raises NotFound."""
    on_postgresql = db.is_postgresql(connection)
    row = connection.execute(_ONE_AND_CLOCK if on_postgresql else ONE_SEEN, {"batch_id": batch_id}).one_or_none()
    if row is None:
        raise NotFound("batch", batch_id)
    return _seen(row, row.now if on_postgresql else db.now(connection))


def look_at(connection: Connection, batch_ids: Sequence[int]) -> list[tuple[BatchRecord, Facts]]:
    """Look at these batches, newest first; the archived ones are left out."""
    if not batch_ids:
        return []
    rows = connection.execute(_SOME, {"batch_ids": batch_ids}).all()
    now = db.now(connection)
    return [_seen(row, now) for row in rows]


def look_at_unsettled(connection: Connection) -> list[tuple[BatchRecord, Facts]]:
    """Look at the batches that may be due an event, a pause, or a slice of tasks."""
    return look_at(connection, connection.execute(_UNSETTLED).scalars().all())


def _seen(row: Any, now: datetime) -> tuple[BatchRecord, Facts]:
    batch = BatchRecord.of(row)
    return batch, facts_of(batch, RunCounts.of(row), now)
