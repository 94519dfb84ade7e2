"""The failed tasks of a run by cause: the first of them, as many as a page may cost, grouped by their error codes."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, bindparam, literal_column, select

from app.domain.leases import TaskKind, TaskStatus
from app.models import Model, Task

LOOKED_AT = 500
LONGEST_MESSAGE = 300
UNKNOWN = "unknown"
# Status and kind as literals: an index of failed tasks alone is chosen only where the statement itself says so.
_FAILED = (
    select(Task.id, Task.error, Model.connection, Model.model)
    .join(Model, and_(Model.batch_id == Task.batch_id, Model.number == Task.model_number), isouter=True)
    .where(
        Task.batch_id == bindparam("batch_id"),
        Task.run == bindparam("run"),
        Task.kind == bindparam("kind"),
        Task.status == literal_column(f"'{TaskStatus.FAILED}'"),
    )
    .order_by(Task.id)
    .limit(LOOKED_AT)
)


@dataclass
class Cause:
    """What tasks failed of; `message` is what the first one said."""

    code: str
    message: str
    task_id: str
    kind: str
    tasks: int = 0
    models: Counter[str] = field(default_factory=Counter)


def by_cause(connection: Connection, batch_id: int, run: int, kind: TaskKind) -> list[Cause]:
    """Group a run's first failed tasks of a kind, the largest group first."""
    causes: dict[str, Cause] = {}
    for row in connection.execute(_FAILED, {"batch_id": batch_id, "run": run, "kind": kind}):
        error: Any = row.error or {}
        code = str(error.get("code") or UNKNOWN)
        message = str(error.get("message") or "")[:LONGEST_MESSAGE]
        cause = causes.setdefault(code, Cause(code, message, str(row.id), kind))
        cause.tasks += 1
        if row.model is not None:
            cause.models[f"{row.connection}/{row.model}"] += 1
    return sorted(causes.values(), key=lambda cause: -cause.tasks)
