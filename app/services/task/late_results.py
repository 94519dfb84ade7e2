"""Results that came too late to count, kept beside their tasks since a call was paid for."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import BigInteger, Connection, bindparam, not_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app import db, portions
from app.domain.leases import Outcome
from app.models import LateResult, Task

_KEPT = select(LateResult.task_id, LateResult.lease_token).where(
    LateResult.task_id.in_(bindparam("ids", expanding=True, type_=BigInteger))
)
_tasks = db.table_of(Task)
_ANSWERED = (
    update(_tasks)
    .where(_tasks.c.id.in_(bindparam("ids", expanding=True, type_=BigInteger)), not_(_tasks.c.has_late_answer))
    .values(has_late_answer=True)
)


def tokens_of(connection: Connection, task_ids: Iterable[int]) -> set[tuple[int, str]]:
    """Find the late results that are kept of these tasks: task and lease token."""
    return {(row.task_id, row.lease_token) for row in connection.execute(_KEPT, {"ids": sorted(set(task_ids))})}


def keep(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Keep late results of tasks that are held; of two with the same task, token and outcome the first one stays."""
    make = postgresql_insert if db.is_postgresql(connection) else sqlite_insert
    statement = make(db.table_of(LateResult)).on_conflict_do_nothing()
    for portion in portions.divide(rows, lambda row: len(orjson.dumps((row["result"], row["error"])))):
        connection.execute(statement, portion)
    if answered := sorted({row["task_id"] for row in rows if row["outcome"] == Outcome.COMPLETED}):
        connection.execute(_ANSWERED, {"ids": answered})
