"""Failed tasks grouped by cause: those of a run for its page, and the newest of all for the page of workers.

Causes are those of app.domain.causes. Each read is bounded, and errors are read in portions: each may be large.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, select

from app import portions
from app.batch_memory import BatchMemory
from app.domain.causes import LONGEST_MESSAGE, UNKNOWN, Cause, cause_of
from app.domain.facts import Facts
from app.domain.leases import TaskKind
from app.models import IS_FAILED, Batch, Model, Task
from app.services.batch.batch_rows import BatchRecord
from app.services.task.named_tasks import OF_MODEL

LOOKED_AT = 500
MOST_FAILURES = 500
TRUSTED_SECONDS = 30.0  # what a failed task says is kept so long after its erasure, as a fragment of a page is
_SIZES = select(Task.id, portions.size_of(Task.error))
# A literal: a partial index is chosen only when its condition stands in the statement.
_OF_RUN = (
    _SIZES.where(
        Task.batch_id == bindparam("batch_id"),
        Task.run == bindparam("run"),
        Task.kind == bindparam("kind"),
        IS_FAILED,
    )
    .order_by(Task.id)
    .limit(LOOKED_AT)
)
# In the order of their index, from its end: the failures of the newest batches.
_NEWEST = (
    _SIZES.where(IS_FAILED)
    .order_by(Task.batch_id.desc(), Task.run.desc(), Task.kind.desc(), Task.id.desc())
    .limit(MOST_FAILURES)
)
_ERRORS = select(Task.id, Task.batch_id, Task.leased_by, Task.error, Model.connection, Model.model).join(
    Model, OF_MODEL, isouter=True
)
_OF_IDS = (
    _SIZES.join(Batch, Batch.id == Task.batch_id)
    .where(Task.id.in_(bindparam("ids", expanding=True, type_=BigInteger)), Batch.purged_at.is_(None))
    .order_by(Task.id)
)
_ONLY_ERRORS = select(Task.id, Task.error)


@dataclass
class FailedTogether:
    """The failed tasks of one cause; `message` is theirs, or the pattern of their messages if these differ.

    `task_id` is the first of them.
    """

    cause: Cause
    message: str
    task_id: str
    kind: str
    tasks: int = 0
    models: Counter[str] = field(default_factory=Counter)


def by_cause(connection: Connection, batch_id: int, run: int, kind: TaskKind) -> list[FailedTogether]:
    """Group a run's first failed tasks of a kind by their causes, the largest group first."""
    groups: dict[str, FailedTogether] = {}
    sized = connection.execute(_OF_RUN, {"batch_id": batch_id, "run": run, "kind": kind}).all()
    for row in portions.read_on(connection, sized, _ERRORS):
        cause = cause_of(row.connection, row.error)
        message = str((row.error or {}).get("message") or "")[:LONGEST_MESSAGE]
        group = groups.setdefault(cause.key, FailedTogether(cause, message, str(row.id), kind))
        group.tasks += 1
        if message != group.message:
            group.message = cause.message
        if row.model is not None:
            group.models[f"{row.connection}/{row.model}"] += 1
    return sorted(groups.values(), key=lambda group: -group.tasks)


class KnownCauses:
    """The causes of batches as this process knows them: many look at the same batch again and again.

    They are read anew when another task has failed.
    """

    def __init__(self) -> None:
        self._known: BatchMemory[list[FailedTogether]] = BatchMemory(TRUSTED_SECONDS)

    def of(self, connection: Connection, batch: BatchRecord, facts: Facts, is_fresh: bool) -> list[FailedTogether]:
        """Group the failed tasks of a batch's present run by cause; with `is_fresh`, as they are now."""
        failed = {TaskKind.STAGE: facts.staging.failed, TaskKind.ANALYZE: facts.analysis.failed}
        kind = next((kind for kind, amount in failed.items() if amount), None)
        if kind is None:
            return []
        seen = batch.version, batch.run, kind, failed[kind]
        if not is_fresh and (known := self._known.get(batch.id, of=seen)) is not None:
            return known
        return self._known.put(batch.id, by_cause(connection, batch.id, batch.run, kind), of=seen)


def by_worker(connection: Connection) -> list[dict[str, Any]]:
    """Group the newest failed tasks by worker and error code, the largest group first, each with its newest task."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for row in portions.read_on(connection, connection.execute(_NEWEST).all(), _ERRORS):
        error: Any = row.error or {}
        code = str(error.get("code", UNKNOWN))
        newest = {
            "worker": row.leased_by or None,
            "code": code,
            "amount": 0,
            "message": str(error.get("message", "")),
            "batch_id": row.batch_id,
            "task_id": str(row.id),
        }
        groups.setdefault((row.leased_by or "", code), newest)["amount"] += 1
    return sorted(groups.values(), key=lambda group: -int(group["amount"]))


def errors_of(connection: Connection, task_ids: Collection[int]) -> dict[int, Any]:
    """Read the errors of some tasks, by task; a task of a purged batch has none."""
    if not task_ids:
        return {}
    sized = connection.execute(_OF_IDS, {"ids": sorted(task_ids)}).all()
    return {row.id: row.error for row in portions.read_on(connection, sized, _ONLY_ERRORS)}
