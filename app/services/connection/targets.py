"""The targets of batches: what their tasks need of workers, and which of them have tasks that wait.

A target is a number within its batch: of `models`, of `ready_targets`, or 0. Each is found by one step of the index of
queued tasks, however many tasks a batch has.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, Connection, Integer, Text, TextClause, bindparam, cast, func, literal_column, select, text

from app import db
from app.domain.connection.abilities import LINES, Target
from app.domain.leases import TaskKind, TaskStatus
from app.domain.transitions import LEASES_IN, REPORTS_IN, BatchState
from app.models import Task

_WANTED = """
WITH working (state, kind) AS (VALUES {working}),
active AS (
    SELECT b.id AS batch_id, b.run, b.priority, b.lease_seconds, b.max_cost_nanos, b.updated_at, w.kind
    FROM batches b JOIN working w ON w.state = b.state {of_batch}),
wanted AS (
    SELECT a.*, 0 AS target, NULL AS connection, NULL AS model, NULL AS endpoint FROM active a
    UNION ALL
    SELECT a.*, m.number, m.connection, m.model, NULL FROM active a JOIN models m ON m.batch_id = a.batch_id
    WHERE a.kind = '{analyze}'
    UNION ALL
    SELECT a.*, r.number, '{lines}', r.model, r.endpoint FROM active a JOIN ready_targets r ON r.batch_id = a.batch_id
    WHERE a.kind = '{analyze}')
"""
# LIMIT 1 and not EXISTS: among 1,000 batches the planner answers this one from the index.
_WITH_QUEUED = f"""
WHERE (SELECT t.id FROM tasks t WHERE t.batch_id = w.batch_id AND t.run = w.run AND t.kind = w.kind
       AND t.target = w.target AND t.status = '{TaskStatus.QUEUED}' {{available}}
       ORDER BY t.available_at, t.id LIMIT 1) IS NOT NULL
"""
# `+ 0` keeps the planner from the index of a run's tasks, which may be a million: the index of leased tasks holds
# those in flight alone.
_LEASED = text(
    f"SELECT DISTINCT target FROM tasks WHERE status = '{TaskStatus.LEASED}'"
    " AND batch_id + 0 = :batch_id AND run + 0 = :run AND kind = :kind"
)


def _wanted(states: Mapping[str, AbstractSet[BatchState]], of_batch: str | None) -> str:
    return _WANTED.format(
        working=", ".join(f"('{state}', '{kind}')" for kind, each in states.items() for state in sorted(each)),
        of_batch=f"WHERE b.id = {of_batch}" if of_batch else "",
        analyze=TaskKind.ANALYZE,
        lines=LINES,
    )


def _queued(states: Mapping[str, AbstractSet[BatchState]], of_batch: str | None, available: str = "") -> str:
    with_queued = _WITH_QUEUED.format(available=available)
    return f"{_wanted(states, of_batch)} SELECT * FROM wanted w {with_queued} ORDER BY w.batch_id, w.target"


_ALL = text(f"{_wanted(LEASES_IN, of_batch=':batch_id')} SELECT * FROM wanted")
_ALL_REPORTED = text(f"{_wanted(REPORTS_IN, of_batch=':batch_id')} SELECT * FROM wanted")
_KIND = " ".join(f"WHEN '{state}' THEN '{kind}'" for kind, each in REPORTS_IN.items() for state in sorted(each))
_QUEUED = f"""
    SELECT t.target FROM tasks t WHERE t.batch_id = batches.id AND t.run = batches.run
    AND t.kind = CASE batches.state {_KIND} END AND t.status = '{TaskStatus.QUEUED}'
"""
# The numbers of the targets that `queued` finds, of each batch that a statement of PostgreSQL reads, as one value: each
# is found by one step of the index.
QUEUED_NUMBERS = f"""
(WITH RECURSIVE queued AS (
    ({_QUEUED} ORDER BY t.target LIMIT 1)
    UNION ALL
    SELECT ({_QUEUED} AND t.target > queued.target ORDER BY t.target LIMIT 1) FROM queued WHERE target IS NOT NULL)
SELECT json_agg(target) FROM queued WHERE target IS NOT NULL)
"""

_number: Any = func.unnest(cast(bindparam("targets", type_=Text), ARRAY(Integer))).column_valued("number")
_first_queued = (
    select(Task.id)
    .where(
        *(getattr(Task, name) == bindparam(name) for name in ("batch_id", "run", "kind")),
        Task.target == _number,
        Task.status == literal_column(repr(str(TaskStatus.QUEUED))),
    )
    .order_by(Task.available_at, Task.id)
    .limit(literal_column("1"))
)
# Those of some targets of a batch, by their numbers, of which tasks wait. It costs half of QUEUED_NUMBERS.
QUEUED_AMONG: Any = func.array(select(_number).where(_first_queued.scalar_subquery().is_not(None)).scalar_subquery())

_OLDEST = (
    text(f"""
{_wanted(LEASES_IN, of_batch=None)}, ready AS (
    SELECT w.updated_at, (SELECT t.available_at FROM tasks t WHERE t.batch_id = w.batch_id AND t.run = w.run
        AND t.kind = w.kind AND t.target = w.target AND t.status = '{TaskStatus.QUEUED}' AND t.available_at <= :now
        ORDER BY t.available_at, t.id LIMIT 1) AS available_at FROM wanted w)
SELECT min(CASE WHEN available_at > updated_at THEN available_at ELSE updated_at END) AS since FROM ready
WHERE available_at IS NOT NULL
""")
    .bindparams(bindparam("now", type_=db.UtcTime))
    .columns(since=db.UtcTime)
)


class QueuedTarget(NamedTuple):
    """A target of a batch with tasks that wait: in its present run, of the kind that is worked on now."""

    batch_id: int
    run: int
    priority: int
    lease_seconds: int
    max_cost_nanos: int | None
    kind: TaskKind
    number: int
    target: Target


def of_batch(connection: Connection, batch_id: int) -> dict[int, Target]:
    """Give all targets of a batch that is at work, by their numbers."""
    found = connection.execute(_ALL, {"batch_id": batch_id})
    return {row.target: _target(row).target for row in found}


def leasable(connection: Connection, now: datetime, batch_id: int | None = None) -> list[QueuedTarget]:
    """List the targets that have a task to lease now, of all batches or of one, by batch and number."""
    return _read(connection, _statement("leases", batch_id is not None, True), batch_id, now=now)


def oldest_ready_since(connection: Connection, now: datetime) -> datetime | None:
    """Give since when a task could be leased that is not leased yet: the longest time of all batches; or None."""
    since: datetime | None = connection.execute(_OLDEST, {"now": now}).scalar_one()
    return since


def queued(connection: Connection, batch_id: int | None = None, at_work: bool = False) -> list[QueuedTarget]:
    """List the targets with queued tasks, whenever they may be leased.

    They are those of batches that are at work or paused; with `at_work`, not of paused ones.
    """
    return _read(connection, _statement("leases" if at_work else "reports", batch_id is not None, False), batch_id)


def leased(connection: Connection, batch_id: int, run: int, kind: TaskKind) -> set[int]:
    """List the numbers of the targets of which workers hold tasks."""
    return set(connection.execute(_LEASED, {"batch_id": batch_id, "run": run, "kind": kind}).scalars())


@cache
def _statement(which: str, of_batch: bool, available: bool) -> TextClause:
    states: Mapping[str, AbstractSet[BatchState]] = LEASES_IN if which == "leases" else REPORTS_IN
    sql = _queued(states, ":batch_id" if of_batch else None, "AND t.available_at <= :now" if available else "")
    return text(sql).bindparams(*([bindparam("now", type_=db.UtcTime)] if available else []))


def _read(connection: Connection, statement: TextClause, batch_id: int | None, **values: Any) -> list[QueuedTarget]:
    of_batch = {} if batch_id is None else {"batch_id": batch_id}
    return [_target(row) for row in db.in_index_order(connection, statement, {**values, **of_batch})]


def reported(connection: Connection, batch_id: int) -> dict[int, Target]:
    """Give all targets of a batch that is at work or paused, by their numbers. They change with its version alone."""
    return {row.target: _target(row).target for row in connection.execute(_ALL_REPORTED, {"batch_id": batch_id})}


def _target(row: Any) -> QueuedTarget:
    kind = TaskKind(row.kind)
    target = Target(kind, row.connection, row.model, row.endpoint)
    of_batch = (row.batch_id, row.run, row.priority, row.lease_seconds, row.max_cost_nanos)
    return QueuedTarget(*of_batch, kind, row.target, target)
