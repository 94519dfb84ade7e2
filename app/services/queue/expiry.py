"""Leases that ran out: the task goes back into the queue, or is FAILED when its attempts are used up.

A task that kills its workers thus ends, instead of going round for ever. The lease token stays current until the
task is leased again: a worker that was only slow still counts.
"""

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, select

from app import db
from app.domain.leases import POISONED, TaskStatus
from app.models import Task
from app.services.task import task_rows
from app.services.task.task_counts import CountChanges
from app.services.task.task_rows import HeldTask, TaskWrite

SLICE = 500
_RAN_OUT = (
    select(Task.id)
    .where(Task.status == TaskStatus.LEASED, Task.lease_expires_at <= bindparam("now", type_=db.UtcTime))
    .order_by(Task.lease_expires_at)
    .limit(SLICE)
)
_FIRST_RAN_OUT = _RAN_OUT.limit(1)


def end_leases(connection: Connection) -> tuple[int, set[int]]:
    """End a slice of the leases that ran out; return how many, and the batches in which a task ended FAILED.

    Leaves alone what somebody renewed, reported or took meanwhile, and batches being decided about.
    """
    found = connection.execute(_RAN_OUT, {"now": db.now(connection)}).scalars().all()
    held, now = task_rows.hold(connection, found, if_free=True)
    changes = CountChanges()
    writes, ended = [], set()
    for task in held.values():
        if task.status is not TaskStatus.LEASED or task.lease_expires_at is None or task.lease_expires_at > now:
            continue
        write = _end(task, now)
        writes.append(write)
        changes.move((task.batch_id, task.run, task.kind), task.status, write.status)
        if write.status is TaskStatus.FAILED:
            ended.add(task.batch_id)
    task_rows.write(connection, writes)
    changes.write(connection, now)
    return len(writes), ended


def _end(task: HeldTask, now: datetime) -> TaskWrite:
    common: dict[str, Any] = {
        "id": task.id,
        "read_token": task.lease_token,
        "read_status": task.status,
        "attempt": task.attempt,
    }
    if task.attempt < task.max_attempts:
        return TaskWrite(**common, status=TaskStatus.QUEUED, available_at=now)
    message = f"The lease ran out {task.attempt} times without a report: the task may kill its workers."
    error = orjson.dumps({"code": POISONED, "message": message})
    return TaskWrite(**common, status=TaskStatus.FAILED, error=error, finished_at=now)


def any_ran_out(connection: Connection) -> bool:
    """Whether a lease has run out: asked before a transaction is opened for it."""
    return connection.execute(_FIRST_RAN_OUT, {"now": db.now(connection)}).first() is not None
