"""The queue that workers lease from: lease, heartbeat, release. Reports go to BatchService, which ends phases.

Batches take turns, weighed by priority; see app.domain.turns. Writes no batch.
"""

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection, Engine

from app import db
from app.db import reading, transaction
from app.domain.lease_tokens import RELEASED
from app.domain.leases import TaskStatus
from app.domain.times import rfc3339
from app.domain.turns import Turns
from app.metrics import LEASES
from app.services.queue import leasing
from app.services.queue.leasing import Candidate
from app.services.queue.payloads import payloads
from app.services.queue.reports import task_number
from app.services.queue.worker_sightings import Sightings
from app.services.task import task_rows
from app.services.task.task_counts import CountChanges
from app.services.task.task_rows import HeldTask, TaskWrite

MOST_BYTES = 32 * 1024 * 1024  # of payload in one answer; at least one task is given
MOST_BATCHES = 8  # that one lease takes from
POLL_SECONDS = 0.2
NO_TASK = "there is no such task"
CANDIDATES_SECONDS = 0.2  # how long a list of batches with work is trusted; the lease itself checks again

Record = Callable[[Connection, list[dict[str, Any]]], None]
Leases = Iterable[tuple[str, str]]  # task id, lease token


class TaskQueue:
    """Hands out tasks. One of it in a process: the turns of batches are kept in its memory."""

    def __init__(self, engine: Engine, most_waiting: int = 8, sightings: Sightings | None = None) -> None:
        self._engine = engine
        self._sightings = sightings or Sightings(engine)
        self._turns = Turns()
        self._candidates: list[Candidate] = []
        self._read_at = 0.0
        self._waiting = threading.BoundedSemaphore(most_waiting)
        self.stopping = threading.Event()

    def lease(
        self,
        worker: str,
        max_tasks: int = 1,
        lease_seconds: int | None = None,
        wait_seconds: float = 0,
        batch_id: int | None = None,
        record: Record | None = None,
    ) -> list[dict[str, Any]]:
        """Lease up to `max_tasks` tasks, waiting up to `wait_seconds` for the first one.

        Waits less when as many callers wait already as this process has room for, or when it stops.
        """
        deadline = time.monotonic() + wait_seconds
        leased = self._lease(worker, max_tasks, lease_seconds, batch_id, record)
        self._sightings.leased(worker, len(leased))
        if leased or wait_seconds <= 0 or not self._waiting.acquire(blocking=False):
            return leased
        try:
            while not leased and time.monotonic() < deadline and not self.stopping.wait(POLL_SECONDS):
                leased = self._lease(worker, max_tasks, lease_seconds, batch_id, record)
        finally:
            self._waiting.release()
        self._sightings.leased(worker, len(leased))
        return leased

    def heartbeat(self, leases: Leases, lease_seconds: int | None = None) -> list[dict[str, Any]]:
        """Renew leases; `ok` False and a reason tell a worker to stop working on that task."""
        answers, workers = db.retry_while_locked(lambda: self._renew(list(leases), lease_seconds))
        self._sightings.renewed(workers)
        return answers

    def release(self, leases: Leases) -> list[dict[str, Any]]:
        """Hand tasks back unharmed: the attempt does not count, and another worker may have them at once."""
        return db.retry_while_locked(lambda: self._release(list(leases)))

    def _lease(
        self, worker: str, max_tasks: int, lease_seconds: int | None, batch_id: int | None, record: Record | None
    ) -> list[dict[str, Any]]:
        for fresh in (False, True):
            found = self._find(batch_id, fresh)
            take = partial(self._take, found, worker, max_tasks, lease_seconds, record)
            leased = db.retry_while_locked(take) if found else []
            if leased or fresh or batch_id is not None:
                return leased
        return []

    def _find(self, batch_id: int | None, fresh: bool) -> list[Candidate]:
        if batch_id is None and not fresh and time.monotonic() - self._read_at < CANDIDATES_SECONDS:
            return self._candidates
        with reading(self._engine) as connection:
            found = leasing.candidates(connection, db.now(connection), batch_id)
        if batch_id is None:
            self._candidates, self._read_at = found, time.monotonic()
        return found

    def _take(
        self, found: list[Candidate], worker: str, max_tasks: int, lease_seconds: int | None, record: Record | None
    ) -> list[dict[str, Any]]:
        by_id = {candidate.batch_id: candidate for candidate in found}
        leased: list[dict[str, Any]] = []
        with transaction(self._engine) as connection:
            changes, untried, size = CountChanges(), dict(by_id), 0
            now = db.now(connection)
            while untried and len(leased) < max_tasks and size < MOST_BYTES:
                priorities = {batch_id: candidate.priority for batch_id, candidate in untried.items()}
                shares = self._turns.share(priorities, max_tasks - len(leased), MOST_BATCHES)
                free = leasing.share_locks(connection, [batch_id for batch_id, _ in shares])
                for batch_id, amount in shares:
                    candidate = untried.pop(batch_id)
                    if batch_id in free and size < MOST_BYTES:
                        given, more = _give(connection, candidate, amount, worker, lease_seconds, now, changes)
                        self._turns.charge(batch_id, len(given))
                        leased += given
                        size += more
                        if len(given) == amount:
                            untried[batch_id] = candidate  # it may have more
            changes.write(connection, now)
            if record and leased:
                record(connection, leased)
        LEASES.inc(len(leased))
        return leased

    def _renew(
        self, leases: list[tuple[str, str]], lease_seconds: int | None
    ) -> tuple[list[dict[str, Any]], set[str | None]]:
        with transaction(self._engine) as connection:
            held, now = task_rows.hold(
                connection, [number for task_id, _ in leases if (number := task_number(task_id))]
            )
            changes, writes, answers = CountChanges(), {}, []
            for task_id, token in leases:
                task = held.get(task_number(task_id))
                if task is None or (reason := task.objection or _not_current(task, token)):
                    answers.append({"task_id": task_id, "ok": False, "reason": reason if task else NO_TASK})
                    continue
                expires_at = now + timedelta(seconds=lease_seconds or task.lease_seconds)
                if task.id not in writes:
                    changes.move((task.batch_id, task.run, task.kind), task.status, TaskStatus.LEASED)
                    writes[task.id] = _as_it_was(task, status=TaskStatus.LEASED, lease_expires_at=expires_at)
                answers.append({"task_id": task_id, "ok": True, "lease_expires_at": rfc3339(expires_at)})
            task_rows.write(connection, list(writes.values()))
            changes.write(connection, now)
            return answers, {held[task_id].leased_by for task_id in writes}

    def _release(self, leases: list[tuple[str, str]]) -> list[dict[str, Any]]:
        with transaction(self._engine) as connection:
            held, now = task_rows.hold(
                connection, [number for task_id, _ in leases if (number := task_number(task_id))]
            )
            changes, writes, answers = CountChanges(), {}, []
            for task_id, token in leases:
                task = held.get(task_number(task_id))
                if task is None:
                    answers.append({"task_id": task_id, "ok": False, "reason": NO_TASK})
                    continue
                use = task.tokens.use_of(token)
                if (use and use[0] == RELEASED) or task.id in writes:  # sent twice
                    answers.append({"task_id": task_id, "ok": True, "lease_expires_at": None})
                elif reason := _not_current(task, token):
                    answers.append({"task_id": task_id, "ok": False, "reason": reason})
                else:
                    writes[task.id] = _handed_back(task, now, changes)
                    answers.append({"task_id": task_id, "ok": True, "lease_expires_at": None})
            task_rows.write(connection, list(writes.values()))
            changes.write(connection, now)
            return answers


def _give(
    connection: Connection,
    candidate: Candidate,
    amount: int,
    worker: str,
    lease_seconds: int | None,
    now: datetime,
    changes: CountChanges,
) -> tuple[list[dict[str, Any]], int]:
    """Lease from one batch what fits into an answer; hand the rest back. Returns the tasks and their bytes."""
    expires_at = now + timedelta(seconds=lease_seconds or candidate.lease_seconds)
    rows = leasing.take(connection, candidate, amount, worker, now, expires_at)
    given: list[dict[str, Any]] = []
    size = 0
    for row, payload in zip(rows, payloads(connection, rows), strict=True):
        size += len(orjson.dumps(payload))
        if given and size > MOST_BYTES:
            break
        given.append(_leased(row, payload, expires_at))
    for _ in given:
        changes.move((candidate.batch_id, candidate.run, candidate.kind), TaskStatus.QUEUED, TaskStatus.LEASED)
    if len(given) < len(rows):
        surplus, _ = task_rows.hold(connection, [row.id for row in rows[len(given) :]])
        task_rows.write(connection, [_handed_back(task, now, CountChanges()) for task in surplus.values()])
    return given, size


def _leased(row: Any, payload: dict[str, Any], expires_at: datetime) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "batch_id": row.batch_id,
        "run": row.run,
        "kind": row.kind,
        "attempt": row.attempt,
        "lease_token": row.lease_token,
        "lease_expires_at": rfc3339(expires_at),
        "payload": payload,
    }


def _not_current(task: HeldTask, token: str) -> str | None:
    if task.tokens.is_current(token):
        return None
    known = task.tokens.use_of(token) is not None
    return f"the lease is over: the task is {task.status}" if known else "this lease token was never given out"


def _as_it_was(task: HeldTask, **changes: Any) -> TaskWrite:
    return TaskWrite(
        **{
            "id": task.id,
            "read_token": task.lease_token,
            "read_status": task.status,
            "status": task.status,
            "attempt": task.attempt,
            **changes,
        }
    )


def _handed_back(task: HeldTask, now: datetime, changes: CountChanges) -> TaskWrite:
    changes.move((task.batch_id, task.run, task.kind), task.status, TaskStatus.QUEUED)
    return _as_it_was(
        task, status=TaskStatus.QUEUED, attempt=task.attempt - 1, available_at=now, lease_outcome=RELEASED
    )
