"""Progress over time: sums of each run at work, taken every ten seconds at most and thinned as the run grows old.

Taken by the sweeper from the counters, off the way of leases and reports. A run keeps MOST_SAMPLES at most: when it
has them, every second one goes and the next come half as often, so that they stay spread over the whole run.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, and_, bindparam, delete, func, insert, select, update

from app import db
from app.db import reading, transaction
from app.domain import transitions
from app.domain.leases import TaskKind
from app.models import Batch, ProgressSample, TaskCounts, UsageCounts

SAMPLE_SECONDS = 10
MOST_SAMPLES = 400
RATE_SECONDS = 60.0  # the present rate is that of the last minute

_samples = db.table_of(ProgressSample)
_of_run = and_(_samples.c.batch_id == bindparam("of_batch"), _samples.c.run == bindparam("of_run"))
_last = (
    select(func.max(_samples.c.at))
    .where(_samples.c.batch_id == Batch.id, _samples.c.run == Batch.run)
    .correlate(Batch)
    .scalar_subquery()
)
_AT_WORK = (
    select(Batch.id, Batch.run, _samples.c.at, _samples.c.number, _samples.c.gap_seconds)
    .select_from(Batch)
    .outerjoin(_samples, and_(_samples.c.batch_id == Batch.id, _samples.c.run == Batch.run, _samples.c.at == _last))
    .where(Batch.state.in_(sorted(transitions.LEASES_IN[TaskKind.ANALYZE])), Batch.archived_at.is_(None))
)


def _summed(table: Any, **sums: Any) -> Any:
    return (
        select(table.batch_id, *(func.sum(each).label(name) for name, each in sums.items()))
        .join(Batch, and_(Batch.id == table.batch_id, Batch.run == table.run))
        .where(Batch.id.in_(bindparam("batch_ids", expanding=True)))
        .group_by(table.batch_id)
    )


_FINISHED = _summed(TaskCounts, finished=TaskCounts.completed + TaskCounts.failed).where(
    TaskCounts.kind == TaskKind.ANALYZE
)
_CALLS = _summed(
    UsageCounts,
    **{name: getattr(UsageCounts, name) for name in ("attempts", "failures", "timed", "latency_ms", "cost_nanos")},
)
_NOTHING = {"finished": 0, "attempts": 0, "failures": 0, "timed": 0, "latency_ms": 0, "cost_nanos": 0}
_THIN = delete(_samples).where(_of_run, _samples.c.number % 2 == 0)
_RENUMBER = update(_samples).where(_of_run).values(number=(_samples.c.number + 1) // 2)


class Moment(NamedTuple):
    """What a run had done by a time."""

    at: datetime
    finished: int = 0
    attempts: int = 0
    failures: int = 0
    timed: int = 0
    latency_ms: int = 0
    cost_nanos: int = 0


def sample(engine: Engine) -> int:
    """Take a sample of every run at work whose last one is old enough; return how many. May run twice, anywhere."""
    with reading(engine) as connection:
        now = db.now(connection)
        due = [row for row in connection.execute(_AT_WORK) if _is_due(row, now)]
        sums = sums_of(connection, [row.id for row in due])
    if due:
        with transaction(engine) as connection:
            rows = [{**_place(connection, row), "at": now, **sums[row.id]} for row in due]
            connection.execute(insert(_samples), rows)
    return len(due)


def _is_due(row: Any, now: datetime) -> bool:
    return row.at is None or now - row.at >= timedelta(seconds=row.gap_seconds)


def _place(connection: Connection, row: Any) -> dict[str, int]:
    """Say which sample of its run comes next, and when the one after it; thin the run if it is full."""
    number, gap = (row.number or 0) + 1, row.gap_seconds or SAMPLE_SECONDS
    if number > MOST_SAMPLES:
        run = {"of_batch": row.id, "of_run": row.run}
        connection.execute(_THIN, run)
        connection.execute(_RENUMBER, run)
        number, gap = MOST_SAMPLES // 2 + 1, gap * 2
    return {"batch_id": row.id, "run": row.run, "number": number, "gap_seconds": gap}


def sums_of(connection: Connection, batch_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Add up what the present runs of these batches have done."""
    sums = {batch_id: dict(_NOTHING) for batch_id in batch_ids}
    for statement in (_FINISHED, _CALLS) if batch_ids else ():
        for row in connection.execute(statement, {"batch_ids": list(batch_ids)}).mappings():
            sums[row["batch_id"]] |= {name: int(value) for name, value in row.items() if name in _NOTHING}
    return sums


def moments(connection: Connection, batch_id: int, run: int) -> list[Moment]:
    """Read the samples of a run, oldest first."""
    statement = select(*(_samples.c[name] for name in Moment._fields)).where(_of_run).order_by(_samples.c.at)
    rows: Any = connection.execute(statement.limit(2 * MOST_SAMPLES), {"of_batch": batch_id, "of_run": run})
    return [Moment(*row) for row in rows]


def rate(taken: Sequence[Moment], present: Moment) -> float | None:
    """Tasks finished a second over the last minute or a little more; None while there is nothing to go by."""
    before = [each for each in taken if (present.at - each.at).total_seconds() >= RATE_SECONDS]
    since = before[-1] if before else taken[0] if taken else None
    seconds = (present.at - since.at).total_seconds() if since else 0.0
    return (present.finished - since.finished) / seconds if since and seconds >= 1 else None
