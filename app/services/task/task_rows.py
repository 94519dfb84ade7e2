"""Tasks as one transaction holds them: their locks, their rows, and the writes that name what they expect.

Lock order: the batch's workers' lock (shared), then the tasks by id. Knows rows and locks, no rule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app import db
from app.domain.lease_tokens import Tokens
from app.domain.leases import TaskStatus
from app.domain.transitions import REPORTS_IN, BatchState
from app.models import Batch, LateResult, Task

_ids = bindparam("ids", expanding=True, type_=BigInteger)
_batches_of = select(Task.batch_id).where(Task.id.in_(_ids)).distinct().order_by(Task.batch_id).subquery()
# In the order of batches: two callers who share several batches never wait for each other in a ring.
_clock = func.clock_timestamp(type_=db.UtcTime)
_SHARE = select(_batches_of.c.batch_id, func.pg_advisory_xact_lock_shared(_batches_of.c.batch_id), _clock)
_TRY_SHARE = select(_batches_of.c.batch_id, func.pg_try_advisory_xact_lock_shared(_batches_of.c.batch_id), _clock)

_HELD = (
    select(
        Task.id,
        Task.batch_id,
        Task.run,
        Task.kind,
        Task.status,
        Task.attempt,
        Task.lease_token,
        Task.lease_outcome,
        Task.lease_answer,
        Task.past_leases,
        Task.lease_expires_at,
        Task.document_id,
        Batch.state,
        Batch.run.label("batch_run"),
        Batch.archived_at,
        Batch.max_attempts,
        Batch.lease_seconds,
        func.coalesce(Task.prompt_number, 0),
        func.coalesce(Task.model_number, 0),
        func.coalesce(Batch.max_cost_nanos, Batch.max_tokens, Batch.max_failure_rate).is_not(None).label("limited"),
        Batch.on_unreadable,
        Task.leased_by,
    )
    .join(Batch, Batch.id == Task.batch_id)
    .where(Task.id.in_(_ids))
    .order_by(Task.id)
    .with_for_update(of=Task, key_share=True)
)

_LATE = select(LateResult.task_id, LateResult.lease_token).where(LateResult.task_id.in_(_ids))


@dataclass
class HeldTask:
    """A locked task, with what its batch says; the fields follow what this transaction does to it."""

    id: int
    batch_id: int
    run: int
    kind: str
    status: TaskStatus
    attempt: int
    lease_token: str | None
    lease_outcome: str | None
    lease_answer: str | None
    past_leases: str
    lease_expires_at: datetime | None
    document_id: int | None
    batch_state: BatchState
    batch_run: int
    archived_at: datetime | None
    max_attempts: int
    lease_seconds: int
    prompt_number: int  # 0 for a ready-made task
    model_number: int
    limited: bool  # whether the batch has a limit that a report may cross
    on_unreadable: str
    leased_by: str | None

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.status, self.lease_token, self.lease_outcome, self.lease_answer, self.past_leases)

    @property
    def objection(self) -> str | None:
        """Say why the batch takes no report of this task now, or None."""
        if self.archived_at is not None:
            return "the batch is archived"
        if self.run != self.batch_run:
            return f"the batch is in run {self.batch_run}; this task is of run {self.run}"
        if self.batch_state not in REPORTS_IN[self.kind]:
            return f"the batch is {self.batch_state}: reports of {self.kind} tasks do not count now"
        return None


def hold(connection: Connection, ids: Iterable[int], if_free: bool = False) -> tuple[dict[int, HeldTask], datetime]:
    """Lock the tasks for a report, by id, and read the database's clock; unknown ids are left out.

    A state change of their batches waits until this transaction ends, so what is read of them stays true.
    With `if_free`, tasks of batches about which something is being decided are left out instead of waited for.
    """
    wanted = sorted(set(ids))
    if not wanted or not db.is_postgresql(connection):
        rows = connection.execute(_HELD, {"ids": wanted}).all() if wanted else []
        return {row.id: _held(row) for row in rows}, db.now(connection)
    shared = connection.execute(_TRY_SHARE if if_free else _SHARE, {"ids": wanted}).all()
    if not shared:
        return {}, db.now(connection)
    free = {batch_id for batch_id, taken, _ in shared if taken is not False}
    rows = connection.execute(_HELD, {"ids": wanted}).all() if free else []
    return {row.id: _held(row) for row in rows if row.batch_id in free}, shared[-1][2]


def _held(row: Any) -> HeldTask:
    task = HeldTask(*row)
    task.status, task.batch_state = TaskStatus(task.status), BatchState(task.batch_state)
    return task


@dataclass(frozen=True)
class TaskWrite:
    """One task's new values, and the token and status that the write expects to find."""

    id: int
    read_token: str | None
    read_status: TaskStatus
    status: TaskStatus
    attempt: int
    critical: bool = False
    available_at: datetime | None = None  # None keeps it
    lease_expires_at: datetime | None = None
    lease_outcome: str | None = None
    lease_answer: str | None = None
    result: bytes | None = None  # JSON
    error: bytes | None = None  # JSON
    finished_at: datetime | None = None
    input_tokens: int = 0  # added to those of earlier attempts, as the cost is
    output_tokens: int = 0
    cost_nanos: int = 0
    latency_ms: int | None = None  # None keeps it


_SET = """
UPDATE tasks SET status = {v}status, attempt = {v}attempt, critical = {v}critical,
    available_at = coalesce({v}available_at, tasks.available_at), lease_expires_at = {v}lease_expires_at,
    lease_outcome = {v}lease_outcome, lease_answer = {v}lease_answer,
    result = {result},
    error = CASE WHEN {v}status = 'COMPLETED' THEN NULL ELSE coalesce({error}, tasks.error) END,
    finished_at = {v}finished_at,
    input_tokens = tasks.input_tokens + {v}input_tokens, output_tokens = tasks.output_tokens + {v}output_tokens,
    cost_nanos = tasks.cost_nanos + {v}cost_nanos, latency_ms = coalesce({v}latency_ms, tasks.latency_ms)
"""
_WHERE = "tasks.status = {v}read_status AND tasks.lease_token IS NOT DISTINCT FROM {v}read_token"
# One statement for any number of tasks. Arrays of text, not one JSON document: it could not hold U+0000.
_ARRAYS = {
    "id": "bigint", "read_token": "text", "read_status": "text", "status": "text", "attempt": "int",
    "critical": "boolean", "available_at": "timestamptz", "lease_expires_at": "timestamptz",
    "lease_outcome": "text", "lease_answer": "text", "result": "json", "error": "json",
    "finished_at": "timestamptz", "input_tokens": "bigint", "output_tokens": "bigint", "cost_nanos": "bigint",
    "latency_ms": "int",
}  # fmt: skip
_WRITE_POSTGRESQL = text(
    _SET.format(v="w.", result="CAST(w.result AS json)", error="CAST(w.error AS json)")
    + " FROM unnest("
    + ", ".join(f"CAST(:{name} AS {'text' if kind == 'json' else kind}[])" for name, kind in _ARRAYS.items())
    + f") AS w({', '.join(_ARRAYS)}) WHERE tasks.id = w.id AND "
    + _WHERE.format(v="w.")
)
_WRITE_SQLITE = text(
    _SET.format(v=":", result=":result", error=":error")
    + " WHERE tasks.id = :id AND "
    + _WHERE.format(v=":").replace("IS NOT DISTINCT FROM", "IS")
).bindparams(*(bindparam(name, type_=db.UtcTime) for name, kind in _ARRAYS.items() if kind == "timestamptz"))


def write(connection: Connection, writes: Sequence[TaskWrite]) -> None:
    """Write the tasks back, in the order of their ids, each if it is still as it was read under its lock."""
    if not writes:
        return
    rows = [{name: _plain(getattr(each, name)) for name in _ARRAYS} for each in sorted(writes, key=lambda w: w.id)]
    if db.is_postgresql(connection):
        columns = {name: [row[name] for row in rows] for name in _ARRAYS}
        changed = connection.execute(_WRITE_POSTGRESQL, columns).rowcount
    else:
        changed = sum(connection.execute(_WRITE_SQLITE, row).rowcount for row in rows)
    if changed != len(rows):
        raise RuntimeError(f"{len(rows) - changed} tasks were changed by someone who did not lock them")


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def tokens_of_late_results(connection: Connection, task_ids: Iterable[int]) -> set[tuple[int, str]]:
    """Find the late results that are kept of these tasks: task and lease token."""
    return {(row.task_id, row.lease_token) for row in connection.execute(_LATE, {"ids": sorted(set(task_ids))})}


def keep_late_results(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Keep results that changed nothing; the same one twice is kept once."""
    if rows:
        make = postgresql_insert if db.is_postgresql(connection) else sqlite_insert
        connection.execute(make(db.table_of(LateResult)).on_conflict_do_nothing(), list(rows))
