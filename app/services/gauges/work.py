"""Figures of the work: tasks by status, how long they wait, batches that stall, limits that come near."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, or_, select

from app import db
from app.domain.leases import TaskKind, TaskStatus
from app.domain.transitions import REPORTS_IN, UNFINISHED
from app.metrics import Family, Sample
from app.models import Batch, TaskCounts
from app.services.connection import circuits, targets
from app.services.connection.present_workers import is_served, present_abilities

STALLED = timedelta(minutes=10)
NEAR = 0.5  # limits of which less is used are not shown
MOST_LIMITS = 50

_counts = db.table_of(TaskCounts)
_of_run = and_(_counts.c.batch_id == Batch.id, _counts.c.run == Batch.run)
_STATUSES = {
    TaskStatus(name.upper()): getattr(TaskCounts, name) for name in ("queued", "leased", "completed", "failed")
}
_TASKS = (
    select(_counts.c.kind, *(func.sum(column).label(status) for status, column in _STATUSES.items()))
    .select_from(Batch)
    .join(_counts, _of_run)
    .where(Batch.state.in_(sorted(UNFINISHED)), Batch.archived_at.is_(None))
    .group_by(_counts.c.kind)
)
_TOUCHED = (
    select(Batch.id, Batch.updated_at, func.max(_counts.c.touched_at).label("touched_at"))
    .select_from(Batch)
    .join(_counts, _of_run)
    .where(Batch.id.in_(bindparam("batch_ids", expanding=True)))
    .group_by(Batch.id, Batch.updated_at)
)
_cost = func.sum(_counts.c.cost_nanos)
_tokens = func.sum(_counts.c.input_tokens + _counts.c.output_tokens)
_USED = (
    select(
        Batch.id,
        (_cost * 1.0 / Batch.max_cost_nanos).label("max_cost"),
        (_tokens * 1.0 / Batch.max_tokens).label("max_tokens"),
    )
    .select_from(Batch)
    .join(_counts, _of_run)
    .where(
        Batch.state.in_(sorted(REPORTS_IN[TaskKind.ANALYZE])),
        Batch.archived_at.is_(None),
        or_(Batch.max_cost_nanos > 0, Batch.max_tokens > 0),
    )
    .group_by(Batch.id)
)


def tasks(connection: Connection) -> Family:
    """Count the tasks of runs that have not ended."""
    rows = {row.kind: row for row in connection.execute(_TASKS)}
    samples = [
        Sample((kind, status), float(getattr(rows[kind], status) if kind in rows else 0))
        for kind in TaskKind
        for status in TaskStatus
    ]
    return Family("interlock_tasks", "Tasks of runs that have not ended", ("kind", "status"), samples)


def oldest(connection: Connection, now: datetime) -> Family:
    """Say how long the task waits that could be leased and waits the longest; 0 if none does."""
    since = targets.oldest_ready_since(connection, now)
    age = max(0.0, (now - since).total_seconds()) if since else 0.0
    return Family("interlock_oldest_ready_task_age_seconds", "Age of the oldest task to lease", (), [Sample((), age)])


def stalled(connection: Connection, now: datetime) -> Family:
    """Count the batches with tasks that a present worker can do now, of which nothing was leased or reported lately."""
    abilities, closed = present_abilities(connection), circuits.closed(connection)
    doable = {
        each.batch_id
        for each in targets.leasable(connection, now)
        if is_served(each.target, abilities) and not any(row.covers(each.target) for row in closed)
    }
    rows: Any = connection.execute(_TOUCHED, {"batch_ids": sorted(doable)}) if doable else ()
    amount = sum(max(row.updated_at, row.touched_at or row.updated_at) < now - STALLED for row in rows)
    help_text = "Batches without progress for ten minutes and without a known reason"
    return Family("interlock_stalled_batches", help_text, (), [Sample((), float(amount))])


def limits(connection: Connection) -> Family:
    """Show how much of their limits runs have used, those that have used the most."""
    used = [(float(share), row.id, limit) for row, limit, share in _shares(connection) if share >= NEAR]
    samples = [Sample((str(batch_id), limit), share) for share, batch_id, limit in sorted(used)[-MOST_LIMITS:]]
    return Family("interlock_limit_used_ratio", "Share of a limit that a run has used", ("batch_id", "limit"), samples)


def _shares(connection: Connection) -> Iterator[tuple[Any, str, float]]:
    for row in connection.execute(_USED):
        for limit in ("max_cost", "max_tokens"):
            if getattr(row, limit) is not None:
                yield row, limit, getattr(row, limit)
