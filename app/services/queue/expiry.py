"""Ends leases that ran out: the task goes back into the queue, or is FAILED when its attempts are used up.

So a task that kills its workers ends, and does not start over for ever. The lease token stays current until the task
is leased again: the report of a worker that was only slow still counts. If the run of the task is over, no report could
have ended the lease, so it was no attempt: the task stays as the others that the run left open.
"""

from typing import Any

from sqlalchemy import Connection, bindparam, select

from app import db
from app.domain.leases import POISONED, TaskStatus
from app.domain.task_endings import LeaseEvent
from app.models import IS_LEASED, Task
from app.services.task import task_rows
from app.services.task.endings import Endings
from app.services.task.task_rows import HeldTask

SLICE = 500
_RAN_OUT = (
    select(Task.id)
    .where(IS_LEASED, Task.lease_expires_at <= bindparam("now", type_=db.UtcTime))
    .order_by(Task.lease_expires_at)
    .limit(SLICE)
)
_FIRST_RAN_OUT = _RAN_OUT.limit(1)


def end_leases(connection: Connection) -> tuple[int, set[int]]:
    """End a slice of the leases that ran out; return how many, and the batches in which a task ended FAILED.

    A task that was renewed, reported or leased meanwhile is left alone, and so are batches that are being changed.
    """
    found = connection.execute(_RAN_OUT, {"now": db.now(connection)}).scalars().all()
    held, now = task_rows.hold(connection, found, if_free=True)
    endings = Endings(now)
    amount, failed_in = 0, set()
    for task in held.values():
        if task.status is TaskStatus.LEASED and task.lease_expires_at is not None and task.lease_expires_at <= now:
            amount += 1
            event = LeaseEvent.RUN_OVER if task.objection else LeaseEvent.RAN_OUT
            if endings.end(task, event) is TaskStatus.FAILED:
                endings.keep(task, error=_poisoned(task))
                failed_in.add(task.batch_id)
    endings.write(connection)
    return amount, failed_in


def any_ran_out(connection: Connection) -> bool:
    """Whether a lease has run out; read before a transaction is opened for it."""
    return connection.execute(_FIRST_RAN_OUT, {"now": db.now(connection)}).first() is not None


def _poisoned(task: HeldTask) -> dict[str, Any]:
    message = f"The lease ran out {task.attempt} times without a report: the task may kill its workers."
    return {"code": POISONED, "message": message}
