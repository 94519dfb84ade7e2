"""The queue from which workers lease; they renew and release their leases here too. Reports go to BatchService.

Batches take turns, weighed by priority; see app.domain.turns. Writes no batch.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine

from app import db
from app.db import transaction
from app.domain.connection.abilities import Abilities
from app.domain.times import rfc3339
from app.domain.turns import Turns
from app.errors import Unauthenticated
from app.metrics import LEASES
from app.services.connection.pauses import Key
from app.services.queue import held_leases
from app.services.queue.grant import Grant, LeaseRequest
from app.services.queue.held_leases import Answers, Lease
from app.services.queue.known_work import KnownWork
from app.services.queue.leasing import Candidate
from app.services.queue.positions import Positions
from app.services.queue.work import Work
from app.services.queue.worker_sightings import Sightings
from app.tracing import spans
from app.tracing.tracer import tracer

MOST_BATCHES = 8  # that one lease takes from
MOST_STATEMENTS = 8  # by which it takes the tasks of these batches, at least one for each
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Granted:
    """What a lease request got: tasks, the closed circuits, and the connections to probe without a task."""

    tasks: list[dict[str, Any]] = field(default_factory=list)
    closed: list[dict[str, Any]] = field(default_factory=list)
    probe: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.tasks or self.probe)


Record = Callable[[Connection, Granted], None]


class TaskQueue:
    """Hands out tasks. A process has one: the turns of batches and of their targets are kept in its memory."""

    def __init__(self, engine: Engine, most_waiting: int = 8, sightings: Sightings | None = None) -> None:
        self._engine = engine
        self._sightings = sightings or Sightings(engine)
        self._positions = Positions()
        self._turns = Turns()
        self._target_turns: dict[int, Turns] = {}  # by batch, for those with several targets
        self._known = KnownWork(engine)
        self._waiting = threading.BoundedSemaphore(most_waiting)
        self.stopping = threading.Event()

    def lease(
        self,
        worker: str,
        max_tasks: int = 1,
        lease_seconds: int | None = None,
        wait_seconds: float = 0,
        batch_id: int | None = None,
        can: Iterable[str] | None = None,
        record: Record | None = None,
        is_allowed: Callable[[], bool] = lambda: True,
    ) -> Granted:
        """Lease up to `max_tasks` tasks, waiting up to `wait_seconds` for the first one.

        `can` names what the worker can do; it gets nothing else. Tasks of closed circuits are leased to nobody, except
        one task as the probe when its time has come.
        It waits less when as many callers wait already as this process has room for, or when the process stops.
        `record` is called in the transaction of the lease, if a task was leased. While it waits, it leases nothing
        unless `is_allowed`, which looks at the caller's token again. Raises Unauthenticated.
        """
        request = LeaseRequest(worker, max_tasks, lease_seconds, batch_id, Abilities(can))
        deadline = time.monotonic() + wait_seconds
        leased = self._lease(request, record)
        self._sightings.leased(worker, len(leased.tasks), request.abilities.can)
        if leased or wait_seconds <= 0 or not self._waiting.acquire(blocking=False):
            return leased
        try:
            while not leased and time.monotonic() < deadline and not self.stopping.wait(POLL_SECONDS):
                if not is_allowed():
                    raise Unauthenticated("The token was revoked or has expired.")
                leased = self._lease(request, record)
        finally:
            self._waiting.release()
        self._sightings.leased(worker, len(leased.tasks), request.abilities.can)
        return leased

    def forget(self) -> None:
        """Read at the next lease which batches have work and which circuits are closed: a circuit has changed."""
        self._known.forget()

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

    def _lease(self, request: LeaseRequest, record: Record | None) -> Granted:
        """Lease from the batches known to have work; if they gave nothing, read anew which batches have work."""
        leased = Granted()
        for fresh in (False, True):
            found, is_fresh = self._known.find(request.batch_id, fresh)
            leased = Granted(closed=_views(found, request.abilities, {}))
            if found.open_to(request.abilities) or found.due(request.abilities):
                leased = db.retry_while_locked(partial(self._lease_from, found, request, record))
            if leased or (request.batch_id is not None and is_fresh and not found.is_gated):
                break
        return leased

    def _lease_from(self, found: Work, request: LeaseRequest, record: Record | None) -> Granted:
        if request.batch_id is None:
            for gone in set(self._target_turns) - found.batch_ids:
                self._target_turns.pop(gone, None)
        began_ns = time.time_ns()
        with transaction(self._engine) as connection:
            grant = Grant(connection, request, self._positions)
            for trial in found.due(request.abilities):
                if grant.room:
                    grant.try_closed(trial)
            untried = dict(found.open_to(request.abilities))
            while untried and grant.room:
                untried |= self._take_turns(grant, untried)
            grant.endings.write(connection)
            granted = Granted(grant.tasks, _views(found, request.abilities, grant.claimed), grant.probe)
            if record and granted:
                record(connection, granted)
        self._positions.keep(grant.reached)
        LEASES.inc(len(granted.tasks))
        if tracer().is_on:
            spans.record_leases(Counter(task["batch_id"] for task in granted.tasks), request.worker, began_ns)
        return granted

    def _take_turns(self, grant: Grant, untried: dict[int, Candidate]) -> dict[int, Candidate]:
        """Lease from the next batches of `untried` and take them out; return those that may have more."""
        priorities = {batch_id: candidate.priority for batch_id, candidate in untried.items()}
        shares = self._turns.share(priorities, grant.room, MOST_BATCHES)
        free = grant.share([batch_id for batch_id, _ in shares])
        with_more = {}
        for batch_id, amount in shares:
            candidate = untried.pop(batch_id)
            if batch_id in free and grant.room:
                of_targets = self._target_shares(candidate, amount, max(1, MOST_STATEMENTS // len(shares)))
                granted, not_empty = grant.add(candidate, of_targets)
                self._turns.charge(batch_id, granted)
                tried = {number for number, _ in of_targets} - set(not_empty)
                if left := candidate.targets.keys() - tried:
                    with_more[batch_id] = candidate.only(left)
        return with_more

    def _target_shares(self, candidate: Candidate, amount: int, most: int) -> list[tuple[int, int]]:
        """Split a batch's amount evenly among its targets, which take turns as batches do."""
        if len(candidate.targets) == 1:
            return [(number, amount) for number in candidate.targets]
        turns = self._target_turns.setdefault(candidate.batch_id, Turns())
        shares = turns.share(dict.fromkeys(candidate.targets, 0), amount, most)
        for number, share in shares:
            turns.charge(number, share)
        return shares


def _views(found: Work, abilities: Abilities, claimed: Mapping[Key, datetime]) -> list[dict[str, Any]]:
    """Show the closed circuits that a worker would call."""
    now = found.now
    return [
        {
            "connection": each.connection,
            "model": each.model,
            "class": each.error_class,
            "reason": each.reason,
            "since": rfc3339(each.since),
            "next_try_at": rfc3339(next_try_at),
            "retry_after_seconds": max(0.0, (next_try_at - now).total_seconds()) if next_try_at else 0.0,
        }
        for each in found.closed_to(abilities)
        for next_try_at in [claimed.get(each.key, each.next_try_at)]
    ]
