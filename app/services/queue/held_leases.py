"""What workers do with leases before they report: renew them by a heartbeat, or hand the tasks back.

Each function runs in a transaction of its caller's, answers every lease in order, and writes only tasks.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from app.domain.ids import task_number
from app.domain.leases import RELEASED
from app.domain.task_endings import LeaseEvent
from app.domain.times import rfc3339
from app.services.task import task_rows
from app.services.task.endings import Endings
from app.services.task.task_rows import HeldTask

NO_TASK = "there is no such task"

Lease = tuple[str, str]  # task id, lease token
Answers = list[dict[str, Any]]


def renew(connection: Connection, leases: list[Lease], lease_seconds: int | None) -> tuple[Answers, set[str | None]]:
    """Renew leases for `lease_seconds`, or for the time that their batches have; return the answers and the workers."""
    held, now = task_rows.hold_named(connection, [task_id for task_id, _ in leases])
    endings, answers, workers = Endings(now), [], set()
    for task_id, token in leases:
        task = held.get(task_number(task_id))
        if task is None:
            answers.append(_refused(task_id, NO_TASK))
        elif reason := task.objection or _why_not_current(task, token):
            answers.append(_refused(task_id, reason))
        else:
            expires_at = now + timedelta(seconds=lease_seconds or task.lease_seconds)
            endings.end(task, LeaseEvent.RENEWED, lease_expires_at=expires_at)
            workers.add(task.leased_by)
            answers.append({"task_id": task_id, "ok": True, "lease_expires_at": rfc3339(expires_at)})
    endings.write(connection)
    return answers, workers


def release(connection: Connection, leases: list[Lease]) -> Answers:
    """Hand tasks back. A lease that was released before is answered as the first time."""
    held, now = task_rows.hold_named(connection, [task_id for task_id, _ in leases])
    endings, answers = Endings(now), []
    for task_id, token in leases:
        task = held.get(task_number(task_id))
        use = task.use_of(token) if task else None
        if task is None:
            answers.append(_refused(task_id, NO_TASK))
        elif use and use[0] == RELEASED:
            answers.append(_released(task_id))
        elif reason := _why_not_current(task, token):
            answers.append(_refused(task_id, reason))
        else:
            endings.end(task, LeaseEvent.RELEASED)
            answers.append(_released(task_id))
    endings.write(connection)
    return answers


def _refused(task_id: str, reason: str) -> dict[str, Any]:
    return {"task_id": task_id, "ok": False, "reason": reason}


def _released(task_id: str) -> dict[str, Any]:
    return {"task_id": task_id, "ok": True, "lease_expires_at": None}


def _why_not_current(task: HeldTask, token: str) -> str | None:
    if task.is_current(token):
        return None
    known = task.use_of(token) is not None
    return f"the lease is over: the task is {task.status}" if known else "this lease token was never given out"
