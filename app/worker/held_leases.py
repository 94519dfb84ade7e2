"""The leases that this worker holds: waiting tasks, running tasks, and those whose report or release is not yet sent.

A lease is held, and so renewed, until its report or its release is answered, or the service revokes it.
This module knows neither HTTP nor handlers.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from app.worker.shares import Shares
from app.worker.task import Task

RENEW_AFTER = 1 / 3  # of a lease's length: two heartbeats may be lost before the lease expires
RENEW_TOGETHER = 1 / 10  # of a lease's length: leases that are due this soon are renewed in the same heartbeat


@dataclass(eq=False)
class Lease:
    """A leased task. Times are on the monotonic clock."""

    task: Task
    length_seconds: float
    granted_at: float
    renew_at: float = field(init=False)
    connection: str = field(init=False)

    def __post_init__(self) -> None:
        self.connection = self.task.target[0] if self.task.kind == "ANALYZE" else self.task.kind
        self.extend(self.granted_at, self.length_seconds)

    def extend(self, granted_at: float, length_seconds: float) -> None:
        """Let the lease run for `length_seconds` from `granted_at`."""
        self.granted_at, self.length_seconds = granted_at, length_seconds
        self.renew_at = granted_at + length_seconds * RENEW_AFTER

    @property
    def ref(self) -> dict[str, str]:
        """The lease as the API names it."""
        return {"task_id": self.task.id, "lease_token": self.task.lease_token}


class HeldLeases:
    """Holds at most `running` running tasks, `waiting` waiting tasks, and `answers` leases in all.

    Every method may be called from any thread.
    """

    def __init__(self, running: int, waiting: int, answers: int) -> None:
        self._max_running, self._max_waiting, self._max_answers = running, waiting, answers
        self._waiting: deque[Lease] = deque()
        self._running: dict[str, Lease] = {}  # by lease token: after an outage, one task may be leased twice
        self._answered: dict[str, Lease] = {}  # their reports or releases are not yet answered
        self._shares = Shares(running, waiting)
        self._lock = threading.RLock()
        # One condition for each that waits: the end of a task wakes nobody for whom it changes nothing.
        self._has_capacity = threading.Condition(self._lock)
        self._is_idle = threading.Condition(self._lock)
        self._has_new = threading.Condition(self._lock)
        self._wants_capacity = False  # whether a thread waits for it; else it is not counted at each change
        self._next_due_at = float("inf")  # no lease is due before; it may be too early
        self._closed = False

    def capacity(self) -> int:
        """Count the tasks to lease now. It is 0 while more than half of the waiting tasks are left: lease in bulk."""
        with self._lock:
            return self._capacity()

    def _capacity(self) -> int:
        held = len(self._waiting) + len(self._running)
        saturated = self._saturated()
        blocked = sum(lease.connection in saturated for lease in self._waiting) if saturated else 0
        if self._closed or len(self._waiting) - blocked > self._max_waiting // 2:
            return 0
        free = self._max_running + self._max_waiting - held + blocked
        return max(min(free, self._max_answers - held - len(self._answered)), 0)

    def wait_for_capacity(self, timeout_seconds: float) -> bool:
        """Wait until there is capacity; return False after the timeout. One thread may wait."""
        with self._lock:
            self._wants_capacity = True
            try:
                return self._has_capacity.wait_for(lambda: self._capacity() > 0, timeout_seconds)
            finally:
                self._wants_capacity = False

    def add(self, leases: Sequence[Lease]) -> list[Lease]:
        """Add waiting tasks, probes before all others, and return those that are to be released.

        These are all after `close`, and those of connections of which enough tasks wait already.
        """
        with self._lock:
            if self._closed:
                return list(leases)
            saturated, surplus = self._saturated(), []
            for lease in leases:
                self._shares.came(lease.connection)
                if lease.connection in saturated and not lease.task.is_probe:
                    surplus.append(lease)
                    continue
                (self._waiting.appendleft if lease.task.is_probe else self._waiting.append)(lease)
            self._renew_in_time(leases)
            self._notify()
            return surplus

    def start_next(self) -> Lease | None:
        """Mark the next waiting task as running and return it, or None. A task whose lease expired is passed over."""
        with self._lock:
            if self._closed or len(self._running) >= self._max_running:
                return None
            now = time.monotonic()
            for lease in self._waiting:
                may_start = lease.task.is_probe or self._shares.has_room(lease.connection)
                if may_start and lease.granted_at + lease.length_seconds > now:
                    self._waiting.remove(lease)
                    self._running[lease.task.lease_token] = lease
                    self._shares.started(lease.connection)
                    self._notify()
                    return lease
            return None

    def put_back(self, lease: Lease) -> bool:
        """Put a task that could not be started before the other waiting tasks. Return False after `close`."""
        with self._lock:
            if self._closed:
                return False
            if self._end(lease.task.lease_token):
                self._waiting.appendleft(lease)
            self._notify()
            return True

    def mark_answered(self, lease: Lease) -> None:
        """Mark a running task as finished. Its report is not yet sent."""
        with self._lock:
            if self._end(lease.task.lease_token):
                self._answered[lease.task.lease_token] = lease
            self._notify()

    def mark_released(self, leases: Sequence[Lease]) -> None:
        """Keep leases that run no task any more until their release is answered."""
        with self._lock:
            for lease in leases:
                self._end(lease.task.lease_token)
                self._answered[lease.task.lease_token] = lease
            self._renew_in_time(leases)  # some were never added
            self._notify()

    def remove(self, lease_tokens: Iterable[str]) -> None:
        """Remove running and finished tasks: they are reported or released, or need no report."""
        with self._lock:
            for token in lease_tokens:
                if not self._answered.pop(token, None):
                    self._end(token)
            self._notify()

    def revoke(self, lease: Lease) -> None:
        """Renew a lease no more: the service revoked it.

        A waiting task is removed. A running task is signalled by its `stopping` event. The report of a finished
        task is still sent.
        """
        with self._lock:
            lease.renew_at = float("inf")
            lease.task.stopping.set()
            if lease in self._waiting:
                self._waiting.remove(lease)
            self._notify()

    def due(self) -> list[Lease]:
        """List the leases to renew now. If any is due, the list includes those that are due soon."""
        with self._lock:
            now = time.monotonic()
            if now < self._next_due_at:
                return []
            held = [*self._waiting, *self._running.values(), *self._answered.values()]
            self._next_due_at = min((lease.renew_at for lease in held), default=float("inf"))
            if now < self._next_due_at:
                return []
            return [lease for lease in held if lease.renew_at <= now + lease.length_seconds * RENEW_TOGETHER]

    def wait_until_due(self, max_seconds: float) -> None:
        """Wait until a lease may be due, for at most `max_seconds`."""
        with self._lock:
            self._has_new.wait(min(max(self._next_due_at - time.monotonic(), 0.0), max_seconds))

    def close(self) -> list[Lease]:
        """Add and start no more tasks. Remove the waiting tasks and return them, so that they can be released."""
        with self._lock:
            self._closed = True
            return self.take_waiting()

    def take_waiting(self, which: Callable[[Task], bool] = lambda _: True) -> list[Lease]:
        """Remove waiting tasks and return them, so that they can be released."""
        with self._lock:
            waiting: deque[Lease] = self._waiting
            taken: list[Lease] = []
            self._waiting = deque()
            for lease in waiting:
                (taken if which(lease.task) else self._waiting).append(lease)
            self._notify()
            return taken

    def wait_until_idle(self, deadline: float) -> list[Lease]:
        """Wait until no task runs, at most until `deadline` on the monotonic clock; return those that still run."""
        with self._lock:
            self._is_idle.wait_for(lambda: not self._running, max(deadline - time.monotonic(), 0.0))
            return list(self._running.values())

    def counts(self) -> dict[str, int]:
        """Count the waiting, the running and the finished tasks."""
        with self._lock:
            return {"waiting": len(self._waiting), "running": len(self._running), "unreported": len(self._answered)}

    def _renew_in_time(self, leases: Iterable[Lease]) -> None:
        """Wake the thread that renews leases if one of these is due before all that it knows."""
        due_at = min((lease.renew_at for lease in leases), default=float("inf"))
        if due_at < self._next_due_at:
            self._next_due_at = due_at
            self._has_new.notify_all()

    def _notify(self) -> None:
        """Wake those that wait for what is true now."""
        if self._wants_capacity and self._capacity() > 0:
            self._has_capacity.notify_all()
        if not self._running:
            self._is_idle.notify_all()

    def _end(self, token: str) -> bool:
        """Count a task as running no more; return whether it ran."""
        lease = self._running.pop(token, None)
        if lease:
            self._shares.ended(lease.connection)
        return lease is not None

    def _saturated(self) -> set[str]:
        return self._shares.saturated(lease.connection for lease in self._waiting)
