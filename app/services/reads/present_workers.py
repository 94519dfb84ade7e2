"""Who works on a batch now: the names on its leases."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, literal_column, select

from app.domain.leases import TaskStatus
from app.models import Task

LOOKED_AT = 5_000
MOST_WORKERS = 50
# The batch is kept from the planner (+ 0): by the index of leased tasks it is a look at what is in flight, by that of
# a run's tasks a walk over a million.
_LEASED = (
    select(Task.leased_by, Task.lease_expires_at)
    .where(
        Task.status == literal_column(f"'{TaskStatus.LEASED}'"),
        Task.batch_id + 0 == bindparam("batch_id"),
        Task.run + 0 == bindparam("run"),
    )
    .order_by(Task.lease_expires_at)
    .limit(LOOKED_AT)
    .subquery()
)
_WORKERS = (
    select(_LEASED.c.leased_by, func.count(), func.max(_LEASED.c.lease_expires_at))
    .group_by(_LEASED.c.leased_by)
    .order_by(func.count().desc(), _LEASED.c.leased_by)
    .limit(MOST_WORKERS)
)


class PresentWorker(NamedTuple):
    name: str | None
    tasks: int
    until: datetime | None


def workers_on(connection: Connection, batch_id: int, run: int) -> list[PresentWorker]:
    """List the workers that hold leases of a run, the busiest first."""
    rows: Any = connection.execute(_WORKERS, {"batch_id": batch_id, "run": run})
    return [PresentWorker(*row) for row in rows]
