"""Erases the answers of old runs of batches that keep those of their newest runs only (`keep_runs`).

A run counts if it was staged completely: one that failed in staging has no answers in the place of older ones.
"""

from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, select

from app import db
from app.db import reading
from app.domain.leases import TaskKind
from app.domain.roles import SYSTEM
from app.domain.transitions import ERASE_RUNS
from app.errors import NotFound
from app.models import Batch, TaskCounts
from app.services.batch.batch_rows import BatchRecord
from app.services.batch.batch_service import BatchService
from app.services.batch.orders import Order
from app.services.upkeep import deletions
from app.services.upkeep.purge import ACTOR

_MAY_BE_DUE = select(Batch.id).where(
    Batch.keep_runs.is_not(None),
    Batch.run - Batch.keep_runs >= Batch.answers_from_run,
    Batch.state.in_(ERASE_RUNS.sources),
    Batch.archived_at.is_(None),
)
_counts = db.table_of(TaskCounts).c
_of_staging = _counts.kind == TaskKind.STAGE
# By run, the newest first: staging tasks that are done and that are not, and analysis tasks.
_RUNS = (
    select(
        _counts.run,
        func.sum(_counts.completed).filter(_of_staging),
        func.sum(_counts.queued + _counts.leased + _counts.failed).filter(_of_staging),
        func.sum(_counts.queued + _counts.leased + _counts.completed + _counts.failed).filter(~_of_staging),
    )
    .where(_counts.batch_id == bindparam("of_batch"))
    .group_by(_counts.run)
    .order_by(_counts.run.desc())
)


def due(engine: Engine) -> list[int]:
    """List the batches that may have answers to erase."""
    with reading(engine) as connection:
        return list(connection.execute(_MAY_BE_DUE).scalars())


def begin(batches: BatchService, batch_id: int) -> bool:
    """Begin to erase the answers of a batch's old runs, with an audit row; return whether there are any."""
    order = Order(ACTOR, SYSTEM)
    try:
        with batches.deciding(order) as decision:
            locked = decision.lock(batch_id)
            batch = locked.batch
            first = _first_kept(decision.connection, batch)
            if first <= batch.answers_from_run or batch.state not in ERASE_RUNS.sources:
                return False
            audited = Order(ACTOR, SYSTEM, context={"before_run": first, "keep_runs": batch.keep_runs})
            locked.edit(ERASE_RUNS, audited, {"answers_from_run": first})
            deletions.begin(decision.connection, batch_id, first)
            return True
    except NotFound:  # it was archived in the meantime
        return False


def _first_kept(connection: Connection, batch: BatchRecord) -> int:
    """Find the oldest of the runs that keep their answers; 1 if all do."""
    rows: Any = connection.execute(_RUNS, {"of_batch": batch.id})
    whole = [run for run, *counted in rows if _is_whole(batch, *(int(each or 0) for each in counted))]
    most = batch.keep_runs
    return 1 if most is None or len(whole) <= most else int(whole[most - 1])


def _is_whole(batch: BatchRecord, staged: int, unstaged: int, analysis: int) -> bool:
    if batch.ready_task_count:
        return analysis == batch.ready_task_count
    return bool(staged and not unstaged)
