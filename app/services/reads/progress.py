"""Progress of a run over time: its sums now, its samples, and its present rate."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, func, select

from app import db
from app.domain.leases import TaskKind
from app.models import Batch, ProgressSample, TaskCounts, UsageCounts

MOST_MOMENTS = 800  # twice the samples that are kept of a run
RECENT_SECONDS = 300.0  # of samples, for the present rates of many runs
RATE_SECONDS = 60.0  # the present rate is that of the last minute

_samples = db.table_of(ProgressSample)
_of_run = and_(_samples.c.batch_id == bindparam("of_batch"), _samples.c.run == bindparam("of_run"))


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


class Moment(NamedTuple):
    """What a run had done by a time."""

    at: datetime
    finished: int = 0
    attempts: int = 0
    failures: int = 0
    timed: int = 0
    latency_ms: int = 0
    cost_nanos: int = 0


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
    rows: Any = connection.execute(statement.limit(MOST_MOMENTS), {"of_batch": batch_id, "of_run": run})
    return [Moment(*row) for row in rows]


def rates_of(
    connection: Connection, finished: Mapping[tuple[int, int], int], now: datetime
) -> dict[tuple[int, int], float | None]:
    """Give the present rate of each run, by batch and number; `finished` is how many of its tasks have ended."""
    if not finished:
        return {}
    statement = (
        select(_samples.c.batch_id, _samples.c.run, _samples.c.at, _samples.c.finished)
        .where(_samples.c.batch_id.in_({batch_id for batch_id, _ in finished}))
        .where(_samples.c.at >= now - timedelta(seconds=RECENT_SECONDS))
        .order_by(_samples.c.at)
        .limit(MOST_MOMENTS * len(finished))
    )
    taken: defaultdict[tuple[int, int], list[Moment]] = defaultdict(list)
    for row in connection.execute(statement):
        taken[row.batch_id, row.run].append(Moment(row.at, row.finished))
    return {run: rate(taken[run], Moment(now, amount)) for run, amount in finished.items()}


def rate(taken: Sequence[Moment], present: Moment) -> float | None:
    """Give the tasks finished in a second, over the last minute or a little more; None without an earlier moment."""
    before = [each for each in taken if (present.at - each.at).total_seconds() >= RATE_SECONDS]
    since = before[-1] if before else taken[0] if taken else None
    seconds = (present.at - since.at).total_seconds() if since else 0.0
    return (present.finished - since.finished) / seconds if since and seconds >= 1 else None


def rate_at(taken: Sequence[Moment], at: datetime) -> float | None:
    """Give the rate at the last moment that is not after a time."""
    earlier = [each for each in taken if each.at <= at]
    return rate(earlier[:-1], earlier[-1]) if earlier else None
