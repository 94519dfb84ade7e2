"""A batch as one transaction sees it: its row, its counted facts, and how both are read and locked.

Knows the shape of rows, no rule.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, func, literal, null, select, union_all

from app import db
from app.domain.facts import Counts, Facts
from app.domain.leases import TaskKind
from app.domain.request_status import RequestStatus
from app.domain.transitions import BatchState
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

_present = select(*COLUMNS).where(Batch.id == bindparam("batch_id"), Batch.archived_at.is_(None))
_locked = _present.with_for_update(key_share=True).subquery()
_if_free = _present.with_for_update(key_share=True, skip_locked=True).subquery()


def _then_alone(locked: Any) -> Any:
    # First the row, then the workers' lock, which leases and reports of the batch share: while somebody else
    # holds the row, waiting for it stops no worker. Key sharing lets children be inserted meanwhile.
    # The clock last: what the change says of its time is later than every lease before it.
    return select(locked, func.pg_advisory_xact_lock(locked.c.id), func.clock_timestamp(type_=db.UtcTime))


_LOCK, _LOCK_IF_FREE = _then_alone(_locked), _then_alone(_if_free)


@dataclass(frozen=True)
class Locked:
    """A batch whose row this transaction holds, and the database's time."""

    batch: BatchRecord
    now: datetime


def lock(connection: Connection, batch_id: int, if_free: bool = False) -> Locked | None:
    """Lock a batch for a change; None if it is archived, unknown or, with `if_free`, locked by someone else.

    Raises the driver's lock error when the row is not to be had within the connection's lock_timeout.
    """
    if not db.is_postgresql(connection):  # BEGIN IMMEDIATE has locked everything already
        row = connection.execute(_present, {"batch_id": batch_id}).one_or_none()
        return None if row is None else Locked(BatchRecord.of(row), db.now(connection))
    row = connection.execute(_LOCK_IF_FREE if if_free else _LOCK, {"batch_id": batch_id}).one_or_none()
    return None if row is None else Locked(BatchRecord.of(row), row[len(COLUMNS) + 1])


@dataclass(frozen=True)
class RunCounts:
    """The counted tasks of one run, when one was last leased or reported, and who waits for the batch."""

    staging: Counts = field(default_factory=Counts)
    analysis: Counts = field(default_factory=Counts)
    touched_at: datetime | None = None
    waiting: int = 0


# The counts of a kind of task, in the order of Counts, and when one was last touched.
COUNT_SUMS = [
    *(func.sum(db.table_of(TaskCounts).c[name]) for name in Counts.__dataclass_fields__),
    func.max(TaskCounts.touched_at),
]
_zero = literal(0, Integer, literal_execute=True)
_COUNTS: Any = union_all(
    select(TaskCounts.kind, *COUNT_SUMS)
    .where(TaskCounts.batch_id == bindparam("batch_id"), TaskCounts.run == bindparam("run"))
    .group_by(TaskCounts.kind),
    select(literal("waiting", literal_execute=True), func.count(), _zero, _zero, _zero, _zero, null()).where(
        StateChangeRequest.batch_id == bindparam("batch_id"),
        StateChangeRequest.status == literal(RequestStatus.QUEUED, literal_execute=True),
    ),
)


def count(connection: Connection, batch_id: int, run: int) -> RunCounts:
    """Read the progress of a run and who waits, in one snapshot: the same time for ten tasks or a million."""
    rows = {row[0]: row[1:] for row in connection.execute(_COUNTS, {"batch_id": batch_id, "run": run})}
    waiting = int(rows.pop("waiting")[0])
    return run_counts(rows, waiting)


def run_counts(kinds: Mapping[str, Sequence[Any]], waiting: int = 0) -> RunCounts:
    """Put together the rows of COUNT_SUMS, one for each kind of task."""
    counts = {kind: Counts(*map(int, sums[:-1])) for kind, sums in kinds.items()}
    touched = [sums[-1] for sums in kinds.values() if sums[-1] is not None]
    return RunCounts(
        staging=counts.get(TaskKind.STAGE, Counts()),
        analysis=counts.get(TaskKind.ANALYZE, Counts()),
        touched_at=max(touched, default=None),
        waiting=waiting,
    )


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
    )
