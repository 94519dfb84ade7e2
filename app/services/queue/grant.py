"""What one lease request gets, leased in one transaction: tasks, limited in number and in bytes, and probes."""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection

from app import db
from app.domain.connection.abilities import Abilities
from app.domain.connection.circuits import Probe
from app.domain.leases import TOO_LARGE
from app.domain.prompts import PromptTooLarge
from app.domain.task_endings import LeaseEvent
from app.domain.times import rfc3339
from app.domain.usage import CallUsage
from app.services.connection import circuits
from app.services.connection.circuits import CircuitRow
from app.services.connection.pauses import Key
from app.services.queue import budget, leasing
from app.services.queue.leasing import Candidate, Terms
from app.services.queue.payloads import payloads
from app.services.queue.positions import Positions, Reached
from app.services.queue.work import Trial
from app.services.task import task_rows
from app.services.task.endings import Endings, Kept
from app.tracing.tracer import tracer

MOST_BYTES = 32 * 1024 * 1024  # of payload in one answer; at least one task is given
MOST_TRIED = 8  # targets of batches, for the one task of a probe


@dataclass(frozen=True)
class LeaseRequest:
    """What a worker wants to lease."""

    worker: str
    max_tasks: int = 1
    lease_seconds: int | None = None  # None: as long as the batch says
    batch_id: int | None = None  # None: of any batch
    abilities: Abilities = field(default_factory=Abilities)


class Grant:
    """The tasks and probes that one request gets within a transaction."""

    def __init__(self, connection: Connection, request: LeaseRequest, positions: Positions) -> None:
        self._connection = connection
        self._request = request
        self._positions = positions
        self._bytes = 0
        self.tasks: list[dict[str, Any]] = []
        self.probe: list[str] = []  # connections to call without a task
        self.claimed: dict[Key, datetime] = {}  # by circuit: when its next probe is due
        self.reached: list[Reached] = []  # to be kept when the transaction is committed
        self._endings: Endings | None = None

    @property
    def endings(self) -> Endings:
        """What the transaction does to tasks; its time is the database's clock at the beginning."""
        if self._endings is None:
            self._endings = Endings(db.now(self._connection))
        return self._endings

    @property
    def room(self) -> int:
        """How many more tasks it may have."""
        return self._request.max_tasks - len(self.tasks) if self._bytes < MOST_BYTES else 0

    def share(self, batch_ids: Sequence[int]) -> set[int]:
        """Share the workers' lock of these batches; return those whose lock was free."""
        free, now = leasing.share_locks(self._connection, batch_ids)
        self._endings = self._endings or Endings(now)  # the first statement reads the clock, too
        return free

    def add(self, candidate: Candidate, shares: Iterable[tuple[int, int]]) -> tuple[int, list[int]]:
        """Lease tasks of a batch, by target and amount, and add those for which there is room.

        Returns how many it added, and the targets that may have more. A task whose prompt is too large ends FAILED; the
        sweeper settles its batch.
        """
        seconds = self._request.lease_seconds or candidate.lease_seconds
        expires_at = self.endings.now + timedelta(seconds=seconds)
        terms = Terms(self._request.worker, self.endings.now, expires_at, self.endings.counts)
        rows: list[Any] = []
        not_empty = []
        left = self._calls_left(candidate)
        for target, share in shares:
            amount = share if left is None else min(share, left - len(rows))
            if amount <= 0:
                continue
            found = self._lease(candidate, target, amount, terms)
            rows += found
            if len(found) == share:
                not_empty.append(target)
        rows.sort(key=lambda row: int(row.id))
        return self._hand_out(rows, expires_at), not_empty

    def _calls_left(self, candidate: Candidate) -> int | None:
        """Count the tasks that may still be leased of a batch; None for any number."""
        left = budget.calls_left(self._connection, candidate)
        taken = sum(task["batch_id"] == candidate.batch_id for task in self.tasks)
        return None if left is None else left - taken

    def _lease(self, candidate: Candidate, target: int, amount: int, terms: Terms) -> list[Any]:
        """Lease from the position of the queue; from its head if that is due, or if less is found than wanted."""
        queue = (*candidate.run_key, target)
        after = self._positions.of(queue)
        rows = leasing.lease(self._connection, candidate, target, amount, terms, after) if after else []
        begun, head_seconds = time.monotonic(), None
        if len(rows) < amount:
            rows += leasing.lease(self._connection, candidate, target, amount - len(rows), terms)
            head_seconds = time.monotonic() - begun
        if rows:
            last = max((row.available_at, row.id) for row in rows)
            self.reached.append(Reached(queue, last, head_seconds))
        return rows

    def try_closed(self, trial: Trial) -> None:
        """Claim the probe of closed circuits, and add one task of them or the call; nothing if others were first."""
        claimed: list[CircuitRow] = []
        how = Probe.TASK if trial.candidates else Probe.CALL
        for circuit in trial.circuits:
            later = circuits.claim(self._connection, circuit, how, self.endings.now)
            if later is None:
                break
            claimed.append(circuit)
            self.claimed[circuit.key] = later
        if len(claimed) == len(trial.circuits) and self._probe(trial):
            return
        for circuit in claimed:
            circuits.give_back(self._connection, circuit)
            del self.claimed[circuit.key]

    def _probe(self, trial: Trial) -> bool:
        if not trial.candidates:
            self.probe += [each.connection for each in trial.circuits if each.connection not in self.probe]
            return True
        places = [(candidate, target) for candidate in trial.candidates for target in candidate.targets]
        free = self.share(sorted({each.batch_id for each in trial.candidates}))
        # At random: one task that breaks its server shall not be the probe for all other batches.
        for candidate, target in random.sample(places, min(len(places), MOST_TRIED)):
            if candidate.batch_id in free and self.add(candidate, [(target, 1)])[0]:
                self.tasks[-1]["is_probe"] = True
                return True
        return False

    def _hand_out(self, rows: list[Any], expires_at: datetime) -> int:
        granted, size, too_large = 0, 0, {}
        alike = _alike(rows[0].batch_id, expires_at) if rows else {}
        left = {row.id for row in rows}
        for row, payload in zip(rows, payloads(self._connection, rows, MOST_BYTES - self._bytes), strict=True):
            if payload is None:
                continue
            if isinstance(payload, PromptTooLarge):
                too_large[row.id] = str(payload)
                left.remove(row.id)
                continue
            size += len(orjson.dumps(payload))
            if granted and size > MOST_BYTES:
                break
            self.tasks.append(_leased(row, payload, alike))
            left.remove(row.id)
            granted += 1
        self._bytes += size
        self._end(left, too_large)
        return granted

    def _end(self, left: set[int], too_large: dict[int, str]) -> None:
        """Hand back the tasks for which there was no room, and fail those whose prompt is too large."""
        if not left and not too_large:
            return
        self.reached.clear()  # what is handed back lies before the positions
        held, _ = task_rows.hold(self._connection, [*left, *too_large])
        for task in held.values():
            if task.id in left:
                self.endings.end(task, LeaseEvent.RELEASED)
            else:
                error = {"code": TOO_LARGE, "message": too_large[task.id]}
                self.endings.end(task, LeaseEvent.FAILED_FOR_GOOD, Kept(CallUsage(), error=error))


def _alike(batch_id: int, expires_at: datetime) -> dict[str, Any]:
    """Make what is alike for the tasks of a batch that a request gets."""
    traceparent = tracer().traceparent_of(batch_id)
    return {"lease_expires_at": rfc3339(expires_at), **({"traceparent": traceparent} if traceparent else {})}


def _leased(row: Any, payload: dict[str, Any], alike: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "batch_id": row.batch_id,
        "run": row.run,
        "kind": row.kind,
        "attempt": row.attempt,
        "lease_token": row.lease_token,
        "payload": payload,
        **alike,
    }
