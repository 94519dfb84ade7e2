"""Samples of progress: the sums of each run at work, taken every ten seconds and thinned as the run grows old.

The sweeper takes them from the counters, so leases and reports do not wait for them. A full run has MOST_SAMPLES: then
every second sample is deleted and the next ones come half as often, so the samples stay spread over the whole run.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, delete, func, insert, select, update

from app import db
from app.db import reading, transaction
from app.domain import transitions
from app.domain.leases import TaskKind
from app.models import Batch, ProgressSample
from app.services.reads.progress import sums_of

SAMPLE_SECONDS = 10
MOST_SAMPLES = 400
SLICE = 100  # runs of which one transaction takes a sample

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
    .order_by(Batch.id)  # two processes that thin runs at the same time cannot deadlock
)
_THIN = delete(_samples).where(_of_run, _samples.c.number % 2 == 0)
_RENUMBER = update(_samples).where(_of_run).values(number=(_samples.c.number + 1) // 2)


def sample(engine: Engine) -> int:
    """Take a sample of every run at work whose last sample is old enough, and return how many were taken."""
    return sum(take() for take in due(engine))


def due(engine: Engine) -> list[Callable[[], int]]:
    """Return functions that take the next samples of the runs at work whose last sample is old enough, some each.

    Each returns how many it took, in one transaction: with one for each run, a thousand runs at work would make a
    hundred transactions a second. Two processes may do it at once.
    """
    with reading(engine) as connection:
        now = db.now(connection)
        rows = [row for row in connection.execute(_AT_WORK) if _is_due(row, now)]
        sums = sums_of(connection, [row.id for row in rows])
    values = [(row, {"at": now, **sums[row.id]}) for row in rows]
    return [partial(_take, engine, values[first : first + SLICE]) for first in range(0, len(values), SLICE)]


def _take(engine: Engine, runs: Sequence[tuple[Any, Mapping[str, Any]]]) -> int:
    with transaction(engine) as connection:
        connection.execute(insert(_samples), [{**_place(connection, run), **values} for run, values in runs])
    return len(runs)


def _is_due(row: Any, now: datetime) -> bool:
    return row.at is None or now - row.at >= timedelta(seconds=row.gap_seconds)


def _place(connection: Connection, row: Any) -> dict[str, int]:
    """Number the next sample of a run and set the gap before the one after it; thin the run if it is full."""
    number, gap = (row.number or 0) + 1, row.gap_seconds or SAMPLE_SECONDS
    if number > MOST_SAMPLES:
        run = {"of_batch": row.id, "of_run": row.run}
        connection.execute(_THIN, run)
        connection.execute(_RENUMBER, run)
        number, gap = MOST_SAMPLES // 2 + 1, gap * 2
    return {"batch_id": row.id, "run": row.run, "number": number, "gap_seconds": gap}
