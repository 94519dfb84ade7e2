"""The queue from which workers lease; they renew and release their leases here too. Reports go to BatchService.

Batches take turns, weighed by priority; see app.domain.turns. Writes no batch.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection, Engine

from app import db
from app.db import reading, transaction
from app.domain.task_endings import LeaseEvent
from app.domain.times import rfc3339
from app.domain.turns import Turns
from app.metrics import LEASES
from app.services.queue import held_leases, leasing
from app.services.queue.held_leases import Answers, Lease
from app.services.queue.leasing import Candidate
from app.services.queue.payloads import payloads
from app.services.queue.worker_sightings import Sightings
from app.services.task import task_rows
from app.services.task.endings import Endings

MOST_BYTES = 32 * 1024 * 1024  # of payload in one answer; at least one task is given
MOST_BATCHES = 8  # that one lease takes from
POLL_SECONDS = 0.2
CANDIDATES_SECONDS = 0.2  # how long a list of batches with work is trusted; the lease itself checks again

Record = Callable[[Connection, list[dict[str, Any]]], None]


@dataclass(frozen=True)
class LeaseRequest:
    """What a worker wants to lease."""

    worker: str
    max_tasks: int = 1
    lease_seconds: int | None = None  # None: as long as the batch says
    batch_id: int | None = None  # None: of any batch


class TaskQueue:
    """Hands out tasks. A process has one: the turns of batches are kept in its memory."""

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

        It waits less when as many callers wait already as this process has room for, or when the process stops.
        `record` is called in the transaction of the lease, if a task was leased.
        """
        request = LeaseRequest(worker, max_tasks, lease_seconds, batch_id)
        deadline = time.monotonic() + wait_seconds
        leased = self._lease(request, record)
        self._sightings.leased(worker, len(leased))
        if leased or wait_seconds <= 0 or not self._waiting.acquire(blocking=False):
            return leased
        try:
            while not leased and time.monotonic() < deadline and not self.stopping.wait(POLL_SECONDS):
                leased = self._lease(request, record)
        finally:
            self._waiting.release()
        self._sightings.leased(worker, len(leased))
        return leased

    def heartbeat(self, leases: Iterable[Lease], lease_seconds: int | None = None) -> Answers:
        """Renew leases; `ok` False, with a reason, means that the worker shall stop working on that task."""
        wanted = list(leases)

        def renew() -> tuple[Answers, set[str | None]]:
            with transaction(self._engine) as connection:
                return held_leases.renew(connection, wanted, lease_seconds)

        answers, workers = db.retry_while_locked(renew)
        self._sightings.renewed(workers)
        return answers

    def release(self, leases: Iterable[Lease]) -> Answers:
        """Hand tasks back unharmed: the attempt does not count, and another worker may lease them at once."""
        wanted = list(leases)

        def release() -> Answers:
            with transaction(self._engine) as connection:
                return held_leases.release(connection, wanted)

        return db.retry_while_locked(release)

    def _lease(self, request: LeaseRequest, record: Record | None) -> list[dict[str, Any]]:
        """Lease from the batches known to have work; if they gave nothing, read anew which batches have work."""
        leased: list[dict[str, Any]] = []
        for fresh in (False, True):
            found = self._find(request.batch_id, fresh)
            if found:
                leased = db.retry_while_locked(partial(self._lease_from, found, request, record))
            if leased or request.batch_id is not None:
                break
        return leased

    def _find(self, batch_id: int | None, fresh: bool) -> list[Candidate]:
        if batch_id is None and not fresh and time.monotonic() - self._read_at < CANDIDATES_SECONDS:
            return self._candidates
        with reading(self._engine) as connection:
            found = leasing.candidates(connection, db.now(connection), batch_id)
        if batch_id is None:
            self._candidates, self._read_at = found, time.monotonic()
        return found

    def _lease_from(self, found: list[Candidate], request: LeaseRequest, record: Record | None) -> list[dict[str, Any]]:
        with transaction(self._engine) as connection:
            answer = _Answer(connection, request, db.now(connection))
            untried = {candidate.batch_id: candidate for candidate in found}
            while untried and answer.room:
                priorities = {batch_id: candidate.priority for batch_id, candidate in untried.items()}
                shares = self._turns.share(priorities, answer.room, MOST_BATCHES)
                free = leasing.share_locks(connection, [batch_id for batch_id, _ in shares])
                for batch_id, amount in shares:
                    candidate = untried.pop(batch_id)
                    if batch_id in free and answer.room:
                        granted = answer.add(candidate, amount)
                        self._turns.charge(batch_id, granted)
                        if granted == amount:
                            untried[batch_id] = candidate  # it may have more
            answer.endings.write(connection)
            if record and answer.tasks:
                record(connection, answer.tasks)
        LEASES.inc(len(answer.tasks))
        return answer.tasks


class _Answer:
    """The tasks that one request gets, leased in one transaction: limited in number and in bytes."""

    def __init__(self, connection: Connection, request: LeaseRequest, now: datetime) -> None:
        self._connection = connection
        self._request = request
        self._bytes = 0
        self.tasks: list[dict[str, Any]] = []
        self.endings = Endings(now)

    @property
    def room(self) -> int:
        """How many more tasks it may have."""
        return self._request.max_tasks - len(self.tasks) if self._bytes < MOST_BYTES else 0

    def add(self, candidate: Candidate, amount: int) -> int:
        """Lease up to `amount` tasks of a batch and add those for which there is room; return how many."""
        seconds = self._request.lease_seconds or candidate.lease_seconds
        expires_at = self.endings.now + timedelta(seconds=seconds)
        rows = leasing.lease(self._connection, candidate, amount, self._request.worker, expires_at, self.endings)
        granted = size = 0
        for row, payload in zip(rows, payloads(self._connection, rows), strict=True):
            size += len(orjson.dumps(payload))
            if granted and size > MOST_BYTES:
                break
            self.tasks.append(_leased(row, payload, expires_at))
            granted += 1
        self._bytes += size
        if granted < len(rows):
            self._hand_back([row.id for row in rows[granted:]])
        return granted

    def _hand_back(self, task_ids: list[int]) -> None:
        surplus, _ = task_rows.hold(self._connection, task_ids)
        for task in surplus.values():
            self.endings.end(task, LeaseEvent.RELEASED)


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
