"""Tasks as one transaction holds them: their locks and their rows, with what their batches allow.

Lock order: the batch's workers' lock (shared), then the tasks by id. Reads and locks; writes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, String, bindparam, func, literal_column, select, text, type_coerce

from app import db
from app.array_texts import array_text
from app.domain.ids import task_number
from app.domain.lease_tokens import Tokens
from app.domain.leases import TaskStatus
from app.domain.transitions import REPORTS_IN, UNFINISHED, BatchState
from app.models import Batch, Task
from app.prepared_statements import Prepared
from app.services.task.task_counts import Run
from app.services.task.usage_counts import UsageKey

_COLUMNS = (
    Task.status,
    Task.lease_token,
    Task.lease_outcome,
    Task.lease_answer,
    Task.past_leases,
    Task.id,
    Task.batch_id,
    Task.run,
    Task.kind,
    Task.attempt,
    Task.lease_expires_at,
    Task.document_id,
    type_coerce(Batch.state, String).label("state"),
    Batch.run.label("batch_run"),
    Batch.archived_at,
    Batch.max_attempts,
    Batch.lease_seconds,
    func.coalesce(Task.prompt_number, literal_column("0")).label("prompt_number"),
    func.coalesce(Task.model_number, literal_column("0")).label("model_number"),
    func.coalesce(Batch.max_cost_nanos, Batch.max_tokens, Batch.max_failure_rate).is_not(None).label("limited"),
    Batch.on_unreadable,
    Batch.on_truncated,
    Task.leased_by,
    Task.erased,
)
# By their texts: to look one up costs less than to call the enumeration.
_STATUSES = {str(each): each for each in TaskStatus}
_STATES = {str(each): each for each in BatchState}
_clock = func.clock_timestamp(type_=db.UtcTime).label("now")


def _held_where(is_wanted: Any) -> Any:
    return (
        select(*_COLUMNS)
        .join(Batch, Batch.id == Task.batch_id)
        .where(is_wanted)
        .order_by(Task.id)
        .with_for_update(of=Task, key_share=True)
    )


_HELD_SQLITE = _held_where(Task.id.in_(bindparam("ids", expanding=True, type_=BigInteger)))
_is_wanted = text("tasks.id = ANY (CAST(:ids AS bigint[]))")
_HELD = _held_where(_is_wanted)
_batches_of = select(Task.batch_id).where(_is_wanted).distinct().order_by(Task.batch_id).subquery()
_TRY_SHARE = select(_batches_of.c.batch_id, func.pg_try_advisory_xact_lock_shared(_batches_of.c.batch_id), _clock)
# One round trip. The second statement sees what was committed before the batches were shared: in their order, so that
# two callers that share several cannot deadlock. The tasks are found by their ids in a query of its own (OFFSET 0), or
# the planner would read the batches of all tasks from the index of runs.
_SHARE_AND_HOLD = Prepared(
    "share_and_hold",
    text("""
    SELECT pg_advisory_xact_lock_shared(batch_id) FROM (
        SELECT DISTINCT batch_id FROM (
            SELECT batch_id FROM tasks WHERE id = ANY (CAST(:ids AS bigint[])) ORDER BY id OFFSET 0
        ) AS named ORDER BY batch_id
    ) AS batches_of"""),
    _HELD.add_columns(_clock),
    by_index=True,
)
_is_it = Task.id == bindparam("id", type_=BigInteger)
_SHARE_AND_HOLD_ONE = Prepared(
    "share_and_hold_one",
    select(func.pg_advisory_xact_lock_shared(Task.batch_id)).where(_is_it),
    _held_where(_is_it).add_columns(_clock),
    by_index=True,
)


@dataclass(slots=True)
class HeldTask(Tokens):
    """A locked task with its tokens, and what its batch allows. Its fields follow what this transaction does to it."""

    id: int
    batch_id: int
    run: int
    kind: str
    attempt: int
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
    on_truncated: str
    leased_by: str | None
    erased: bool  # its document or its run was erased: nothing more is kept for it
    read_status: TaskStatus = field(init=False)  # the status in the database, until this transaction writes

    @property
    def run_key(self) -> Run:
        """The run and kind under which the task is counted."""
        return self.batch_id, self.run, self.kind

    @property
    def usage_key(self) -> UsageKey:
        """The prompt and model under which its calls are counted."""
        return self.batch_id, self.run, self.prompt_number, self.model_number

    @property
    def may_still_count(self) -> bool:
        """Whether a report of a task of the present run counts now, or will count when the batch goes on."""
        return self.batch_state in UNFINISHED

    @property
    def objection(self) -> str | None:
        """Why the batch takes no report of this task now, or None."""
        if self.archived_at is not None:
            return "the batch is archived"
        if self.run != self.batch_run:
            return f"the batch is in run {self.batch_run}; this task is of run {self.run}"
        if self.batch_state not in REPORTS_IN[self.kind]:
            return f"the batch is {self.batch_state}: reports of {self.kind} tasks do not count now"
        return None


def hold(connection: Connection, ids: Iterable[int], if_free: bool = False) -> tuple[dict[int, HeldTask], datetime]:
    """Lock tasks in the order of their ids and read the database's clock; unknown ids are left out.

    A state change of their batches waits until this transaction ends, so what is read of the batches stays true.
    With `if_free`, the tasks of batches that are being changed are left out; without it, this waits for them.
    """
    wanted = {"ids": sorted(set(ids))}
    if not wanted["ids"]:
        return {}, db.now(connection)
    if not db.is_postgresql(connection):
        return _by_id(connection.execute(_HELD_SQLITE, wanted).all()), db.now(connection)
    if if_free:
        return _hold_free(connection, wanted)
    rows = _share_and_hold(connection, wanted["ids"])
    return _by_id(rows), rows[-1].now if rows else db.now(connection)


def _share_and_hold(connection: Connection, ids: list[int]) -> Sequence[Any]:
    if len(ids) == 1:
        return _SHARE_AND_HOLD_ONE.rows(connection, id=ids[0])
    return _SHARE_AND_HOLD.rows(connection, ids=array_text(ids))


def _hold_free(connection: Connection, wanted: dict[str, list[int]]) -> tuple[dict[int, HeldTask], datetime]:
    shared = connection.execute(_TRY_SHARE, wanted).all()
    free = {batch_id for batch_id, is_shared, _ in shared if is_shared}
    if not free:
        return {}, db.now(connection)
    rows = connection.execute(_HELD, wanted).all()
    return _by_id(row for row in rows if row.batch_id in free), shared[-1].now


def _by_id(rows: Iterable[Any]) -> dict[int, HeldTask]:
    return {row.id: _held(row) for row in rows}


def hold_named(connection: Connection, task_ids: Iterable[str]) -> tuple[dict[int, HeldTask], datetime]:
    """As `hold`, for the ids of tasks as callers write them; what is not the id of a task is left out."""
    return hold(connection, filter(None, map(task_number, task_ids)))


def _held(row: Any) -> HeldTask:
    task = HeldTask(*row[: len(_COLUMNS)])
    task.status = task.read_status = _STATUSES[task.status]
    task.batch_state = _STATES[task.batch_state]
    return task
