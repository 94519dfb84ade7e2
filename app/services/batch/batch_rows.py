"""A batch as one transaction sees it: its row, its counted facts, and how both are read and locked.

Knows the shape of rows, no rule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, cast, func, literal_column, or_, select

from app import db
from app.domain import transitions
from app.domain.facts import Counts, Facts
from app.domain.leases import TaskKind
from app.domain.transitions import BatchState, Kind
from app.domain.usage import Usage
from app.errors import NotFound
from app.models import Batch, TaskCounts


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
