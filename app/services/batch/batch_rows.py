"""A batch as one transaction reads it: its row, and the counted facts of its present run.

This module knows the shape of rows, and no rule.
"""

from collections import namedtuple
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, Connection, and_, bindparam, cast, func, literal_column, or_, select

from app import db
from app.domain import deadlines, transitions
from app.domain.facts import Counts, Facts
from app.domain.leases import TaskKind
from app.domain.times import rfc3339
from app.domain.transitions import BatchState, Kind
from app.domain.usage import Usage
from app.errors import NotFound
from app.models import IS_WAITING, Batch, StateChangeRequest, TaskCounts
from app.prepared_statements import Prepared

COLUMNS = tuple(db.table_of(Batch).c)
_COUNTED, _USED = tuple(Counts.__dataclass_fields__), tuple(Usage.__dataclass_fields__)
_counted, _NO_TASKS = itemgetter(*_COUNTED), Counts()

if TYPE_CHECKING:

    class _Columns(Batch):  # mypy reads the types of the attributes from the model
        def _replace(self, **columns: Any) -> Any: ...
        def __iter__(self) -> Iterator[Any]: ...
else:
    _Columns = namedtuple("_Columns", [column.name for column in COLUMNS])


class BatchRecord(_Columns):
    """The row of a batch as it was read. It has the columns of `Batch` as attributes, and never changes."""

    __slots__ = ()

    @classmethod
    def of(cls, row: Sequence[Any]) -> "BatchRecord":
        """Make a record of a row that begins with the columns of the batch."""
        return cls(*row[: len(COLUMNS)])

    def changed(self, **columns: Any) -> "BatchRecord":
        """Copy the record with these columns changed. Raises ValueError if the batch has no such column."""
        record: BatchRecord = self._replace(**columns)
        return record


@dataclass(frozen=True)
class RunCounts:
    """The counts of a batch's present run.

    Tasks by status, the time of the last lease or report, the usage, and how many requests wait for the batch.
    """

    staging: Counts = field(default_factory=Counts)
    analysis: Counts = field(default_factory=Counts)
    touched_at: datetime | None = None
    waiting: int = 0
    usage: Usage = field(default_factory=Usage)

    @classmethod
    def of(cls, row: Sequence[Any], waiting: int = 0) -> "RunCounts":
        """Make the counts of a row of SEEN."""
        row = row[len(COLUMNS) : len(SEEN.selected_columns)]
        *sums, touched_at = row[: -len(USAGE_SUMS)]
        half = len(sums) // 2
        usage = Usage(**dict(zip(Usage.__dataclass_fields__, row[-len(USAGE_SUMS) :], strict=True)))
        return cls(Counts(*sums[:half]), Counts(*sums[half:]), touched_at, waiting, usage)

    @classmethod
    def of_kinds(cls, kinds: Sequence[Mapping[str, Any]], waiting: int = 0) -> "RunCounts":
        """Make the counts of the column COUNTS."""
        of_kind = {each["kind"]: Counts(*_counted(each)) for each in kinds}
        usage = Usage(**{name: sum([each[name] for each in kinds]) for name in _USED})
        touched_at = max([datetime.fromisoformat(each["touched_at"]) for each in kinds], default=None)
        staging, analysis = (of_kind.get(kind, _NO_TASKS) for kind in (TaskKind.STAGE, TaskKind.ANALYZE))
        return cls(staging, analysis, touched_at, waiting, usage)


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
# Batches with the counts of their present runs, newest first: one row each, however many tasks a batch has.
_ALL: Any = (
    select(
        *COLUMNS,
        *STAGING_SUMS,
        *ANALYSIS_SUMS,
        func.max(_counts.c.touched_at).label("touched_at"),
        *USAGE_SUMS,
    )
    .join(_counts, _present_run, isouter=True)
    .group_by(Batch.id)
    .order_by(Batch.id.desc())
)
SEEN = _ALL.where(Batch.archived_at.is_(None))
ONE_SEEN = SEEN.where(Batch.id == bindparam("batch_id"))
ONE_ARCHIVED = _ALL.where(Batch.id == bindparam("batch_id"), Batch.archived_at.is_not(None))
_PURGED_AT = select(Batch.purged_at).where(Batch.id == bindparam("batch_id"))
CLOCK = func.clock_timestamp(type_=db.UtcTime).label("now")
_summed = ", ".join(f"sum({name}) AS {name}" for name in (*_COUNTED, *_USED))
# For PostgreSQL: the counts of a batch as one value, for RunCounts.of_kinds.
COUNTS: Any = literal_column(
    db.rows_as_json(
        f"SELECT kind, {_summed}, max(touched_at) AS touched_at FROM task_counts AS c"
        " WHERE c.batch_id = batches.id AND c.run = batches.run GROUP BY kind"
    )
).label("counts")
# One row by its id, with few columns. It costs a third less than ONE_SEEN, the driver included.
ONE_AND_CLOCK = select(*COLUMNS, COUNTS, CLOCK).where(Batch.id == bindparam("batch_id"), Batch.archived_at.is_(None))
_ONE_AND_CLOCK = Prepared("see", ONE_AND_CLOCK)
_amount_waiting: Any = (
    select(func.count()).where(StateChangeRequest.batch_id == Batch.id, IS_WAITING).correlate(Batch).scalar_subquery()
)
AMOUNT_WAITING = _amount_waiting.label("amount_waiting")
_ONE_AND_WAITING = ONE_SEEN.add_columns(AMOUNT_WAITING)
_ONE_WAITING_AND_CLOCK = Prepared("see_with_waiting", ONE_AND_CLOCK.add_columns(AMOUNT_WAITING))
_SOME = SEEN.where(Batch.id.in_(bindparam("batch_ids", expanding=True)))
_queued, _leased, _, _failed, *_ = (label.element for label in ANALYSIS_SUMS)
_input_tokens, _output_tokens, _cost, _unpriced = (label.element for label in USAGE_SUMS)
_may_have_crossed = or_(
    _cost >= Batch.max_cost_nanos,
    and_(Batch.max_cost_nanos.is_not(None), _unpriced > 0),
    _input_tokens + _output_tokens >= Batch.max_tokens,
    Batch.max_failure_rate.is_not(None),
)


def _state_in(states: Iterable[BatchState]) -> Any:
    """Write the condition with the states in its text, since what is prepared has no lists of parameters."""
    return Batch.state.in_([literal_column(repr(str(state))) for state in sorted(states)])


def _may_need_an_event(now: Any) -> Any:
    """Write the condition of batches that may need an event or a slice of tasks, among those with events.

    Those that are staging, those with a failed analysis task or with no open one, and those past their deadline at
    time `now`.
    """
    return or_(_state_in(transitions.BEGINS_RUN), _queued + _leased == 0, _failed > 0, Batch.deadline_at <= now)


def _standing(now: Any) -> Any:
    may_need_an_event = and_(_has_events, _may_need_an_event(now)).label("may_need_an_event")
    return ONE_SEEN.with_only_columns(Batch.state, may_need_an_event).order_by(None)


_has_events = _state_in({source for t in transitions.TABLE if t.kind is Kind.EVENT for source in t.sources})
_now = bindparam("now", type_=db.UtcTime)
# Only these batches may need an event, a slice of tasks, or a pause.
_UNSETTLED = (
    SEEN.with_only_columns(Batch.id).where(_has_events).having(or_(_may_need_an_event(_now), _may_have_crossed))
)
_STANDING_POSTGRESQL, _STANDING_SQLITE = Prepared("standing", _standing(func.clock_timestamp())), _standing(_now)


def facts_of(batch: BatchRecord, counts: RunCounts, now: datetime) -> Facts:
    """Collect the facts that guards may read, at time `now`."""
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
        input_is_unread=bool(batch.input_file_id and not batch.ready_task_count and not batch.bad_line_count),
        bad_lines=batch.bad_line_count,
        deadline_at=deadlines.current(batch.state, batch.deadline_at, batch.paused_at, now),
        is_overdue=deadlines.is_over(batch.state, batch.deadline_at, now),
    )


class Glance(NamedTuple):
    """A batch and its facts, the time at which they were read, and how many requests wait for it."""

    batch: BatchRecord
    facts: Facts
    now: datetime
    waiting: int


def look(connection: Connection, batch_id: int) -> tuple[BatchRecord, Facts]:
    """Read one batch and its facts. Raises NotFound."""
    return look_with_clock(connection, batch_id)[:2]


def look_with_clock(connection: Connection, batch_id: int) -> tuple[BatchRecord, Facts, datetime]:
    """Read one batch, its facts, and the clock. Raises NotFound."""
    row, now = _row_and_clock(connection, batch_id, _ONE_AND_CLOCK, ONE_SEEN)
    return *seen(row, now), now


def glance(connection: Connection, batch_id: int) -> Glance:
    """Read one batch, its facts, the clock, and the number of its requests that wait. Raises NotFound."""
    row, now = _row_and_clock(connection, batch_id, _ONE_WAITING_AND_CLOCK, _ONE_AND_WAITING)
    return Glance(*seen(row, now), now, row.amount_waiting)


def _row_and_clock(connection: Connection, batch_id: int, with_clock: Prepared, without: Any) -> tuple[Any, datetime]:
    on_postgresql = db.is_postgresql(connection)
    if on_postgresql:
        row = with_clock.row(connection, batch_id=batch_id)
    else:
        row = connection.execute(without, {"batch_id": batch_id}).one_or_none()
    if row is None:
        raise not_found(connection, batch_id)
    return row, row.now if on_postgresql else db.now(connection)


def not_found(connection: Connection, batch_id: int) -> NotFound:
    """Make the refusal for a batch that no caller finds; of a purged one it says what is left."""
    purged_at = connection.execute(_PURGED_AT, {"batch_id": batch_id}).scalar()
    if purged_at is None:
        return NotFound("batch", batch_id)
    return NotFound("batch", batch_id, f"it was archived, and purged on {rfc3339(purged_at)}; its audit trail is left")


def standing(connection: Connection, batch_id: int) -> tuple[BatchState, bool] | None:
    """Read a batch's state, and whether it may need an event: `look` shows if it does. Limits are not looked at.

    None if it is archived or unknown. It costs half of `look`, and after most reports nothing is due.
    """
    if db.is_postgresql(connection):
        row = _STANDING_POSTGRESQL.row(connection, batch_id=batch_id)
    else:
        row = connection.execute(_STANDING_SQLITE, {"batch_id": batch_id, "now": db.now(connection)}).one_or_none()
    return None if row is None else (BatchState(row.state), bool(row.may_need_an_event))


def look_at(connection: Connection, batch_ids: Sequence[int]) -> list[tuple[BatchRecord, Facts]]:
    """Read these batches and their facts, newest first; archived batches are left out."""
    if not batch_ids:
        return []
    rows = connection.execute(_SOME, {"batch_ids": batch_ids}).all()
    now = db.now(connection)
    return [seen(row, now) for row in rows]


def look_at_unsettled(connection: Connection) -> list[tuple[BatchRecord, Facts]]:
    """Read the batches that may need an event, a pause, or a slice of tasks."""
    return look_at(connection, connection.execute(_UNSETTLED, {"now": db.now(connection)}).scalars().all())


def seen(row: Any, now: datetime) -> tuple[BatchRecord, Facts]:
    """Make the batch and its facts of a row that begins as one of SEEN, or is one of ONE_AND_CLOCK."""
    batch = BatchRecord.of(row)
    counts = RunCounts.of_kinds(row.counts) if hasattr(row, "counts") else RunCounts.of(row)
    return batch, facts_of(batch, counts, now)
