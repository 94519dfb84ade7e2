"""Failed tasks grouped by cause: those of a run for its page, and the newest of all for the page of workers.

A cause is the code of an error. Each read is bounded.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select

from app.domain.leases import TaskKind
from app.models import IS_FAILED, Model, Task
from app.services.task.named_tasks import OF_MODEL

LOOKED_AT = 500
MOST_FAILURES = 500
LONGEST_MESSAGE = 300
UNKNOWN = "unknown"
# A literal: a partial index is chosen only when its condition stands in the statement.
_OF_RUN = (
    select(Task.id, Task.error, Model.connection, Model.model)
    .join(Model, OF_MODEL, isouter=True)
    .where(
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
    select(Task.id, Task.batch_id, Task.leased_by, Task.error)
    .where(IS_FAILED)
    .order_by(Task.batch_id.desc(), Task.run.desc(), Task.kind.desc(), Task.id.desc())
    .limit(MOST_FAILURES)
)


@dataclass
class Cause:
    """Why tasks failed; `message` and `task_id` are those of the first one."""

    code: str
    message: str
    task_id: str
    kind: str
    tasks: int = 0
    models: Counter[str] = field(default_factory=Counter)


def by_cause(connection: Connection, batch_id: int, run: int, kind: TaskKind) -> list[Cause]:
    """Group a run's first failed tasks of a kind, the largest group first."""
    causes: dict[str, Cause] = {}
    for row in connection.execute(_OF_RUN, {"batch_id": batch_id, "run": run, "kind": kind}):
        error: Any = row.error or {}
        code = str(error.get("code") or UNKNOWN)
        message = str(error.get("message") or "")[:LONGEST_MESSAGE]
        cause = causes.setdefault(code, Cause(code, message, str(row.id), kind))
        cause.tasks += 1
        if row.model is not None:
            cause.models[f"{row.connection}/{row.model}"] += 1
    return sorted(causes.values(), key=lambda cause: -cause.tasks)


def by_worker(connection: Connection) -> list[dict[str, Any]]:
    """Group the newest failed tasks by worker and error code, the largest group first, each with its newest task."""
    amounts: Counter[tuple[str, str]] = Counter()
    newest: dict[tuple[str, str], Any] = {}
    for row in connection.execute(_NEWEST):
        group = (row.leased_by or "", str((row.error or {}).get("code", UNKNOWN)))
        amounts[group] += 1
        newest.setdefault(group, row)
    return [
        {
            "worker": worker or None,
            "code": code,
            "amount": amount,
            "message": str((newest[worker, code].error or {}).get("message", "")),
            "batch_id": newest[worker, code].batch_id,
            "task_id": str(newest[worker, code].id),
        }
        for (worker, code), amount in amounts.most_common()
    ]
