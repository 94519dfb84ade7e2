"""A batch as one transaction sees it: its row, its counted facts, and how both are read and locked.

Knows the shape of rows, no rule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, cast, column, func, literal_column, select, text
from sqlalchemy.dialects.postgresql import psycopg2

from app import db
from app.domain.facts import Counts, Facts
from app.domain.leases import TaskKind
from app.domain.request_status import RequestStatus
from app.domain.transitions import BatchState
from app.domain.usage import Usage
from app.models import Batch, StateChangeRequest, TaskCounts


@dataclass(frozen=True)
class BatchRecord:
    """The row of a batch; the fields are its columns."""

    id: int
    name: str
    description: str | None
    state: BatchState
    version: int
    run: int
    document_count: int
    prompt_count: int
    model_count: int
    ready_task_count: int
    max_attempts: int
    lease_seconds: int
    max_failed_tasks: int | None
    priority: int
    staging_timeout_seconds: int
    max_cost_nanos: int | None
    max_tokens: int | None
    max_failure_rate: float | None
    on_unreadable: str
    reuse: dict[str, Any] | None
    failure_code: str | None
    failure_message: str | None
    failure_task_id: int | None
    created_at: datetime
    updated_at: datetime
    staged_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    archived_at: datetime | None

    @classmethod
    def of(cls, values: Iterable[Any]) -> "BatchRecord":
        """Make a record of a row that begins with the batch's columns."""
        row = list(values)[: len(COLUMNS)]
        row[_STATE] = BatchState(row[_STATE])
        return cls(*row)


COLUMNS = tuple(Batch.__table__.c[name] for name in BatchRecord.__dataclass_fields__)
_STATE = list(BatchRecord.__dataclass_fields__).index("state")


@dataclass(frozen=True)
class RunCounts:
    """A batch's present run: counted tasks, when one was last leased or reported, what it used; and who waits."""

    staging: Counts = field(default_factory=Counts)
    analysis: Counts = field(default_factory=Counts)
    touched_at: datetime | None = None
    waiting: int = 0
    usage: Usage = field(default_factory=Usage)

    @classmethod
    def of(cls, row: Sequence[Any], waiting: int = 0) -> "RunCounts":
        """Make it of a row of SEEN."""
        *sums, touched_at, input_tokens, output_tokens, cost_nanos = row[len(COLUMNS) : len(SEEN.selected_columns)]
        half = len(sums) // 2
        usage = Usage(input_tokens, output_tokens, cost_nanos)
        return cls(Counts(*sums[:half]), Counts(*sums[half:]), touched_at, waiting, usage)


def _sums(kind: TaskKind) -> list[Any]:
    of_kind = TaskCounts.kind == literal_column(repr(str(kind)))
    summed = {name: func.sum(_counts.c[name]).filter(of_kind) for name in Counts.__dataclass_fields__}
    return [_whole(each).label(f"{kind}_{name}") for name, each in summed.items()]


def _whole(total: Any) -> Any:
    none: Any = literal_column("0")
    return cast(func.coalesce(total, none), BigInteger)


_counts = db.table_of(TaskCounts)
_present_run = (_counts.c.batch_id == Batch.id) & (_counts.c.run == Batch.run)
STAGING_SUMS, ANALYSIS_SUMS = _sums(TaskKind.STAGE), _sums(TaskKind.ANALYZE)
USAGE_SUMS = [_whole(func.sum(_counts.c[name])).label(name) for name in Usage.__dataclass_fields__]
# Batches, newest first, with the counts of their present runs: one row and one snapshot for ten tasks or a million.
SEEN: Any = (
    select(
        *COLUMNS,
        *STAGING_SUMS,
        *ANALYSIS_SUMS,
        func.max(_counts.c.touched_at).label("touched_at"),
        *USAGE_SUMS,
    )
    .join(_counts, _present_run, isouter=True)
    .where(Batch.archived_at.is_(None))
    .group_by(Batch.id)
    .order_by(Batch.id.desc())
)
ONE_SEEN = SEEN.where(Batch.id == bindparam("batch_id"))
CLOCK = func.clock_timestamp(type_=db.UtcTime).label("now")
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


def facts_of(batch: BatchRecord, counts: RunCounts, now: datetime) -> Facts:
    """Put together what a guard may know of a batch at time `now`."""
    began = max(counts.touched_at or batch.updated_at, batch.updated_at)
    held = counts.staging.leased > 0
    return Facts(
        documents=batch.document_count,
        prompts=batch.prompt_count,
        models=batch.model_count,
        ready_tasks=batch.ready_task_count,
        staging=counts.staging,
        analysis=counts.analysis,
        max_failed_tasks=batch.max_failed_tasks,
        idle_seconds=0.0 if held else max(0.0, (now - began).total_seconds()),
        staging_timeout_seconds=float(batch.staging_timeout_seconds),
        usage=counts.usage,
    )
