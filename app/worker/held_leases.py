"""What this worker holds: tasks that wait, tasks that run, answers not yet reported. Nothing else is in memory.

A lease is here from its grant until its report is answered, it is handed back, or the service took it away.
Every method may be called from any thread. No HTTP, no handlers.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.worker.task import Task

RENEW_AFTER = 1 / 3  # of a lease's length: two heartbeats may be lost before it ends
RENEW_TOGETHER = 1 / 10  # of a lease's length: whoever is due so soon goes along


@dataclass(eq=False)
class Lease:
    """A task held; the times are on the monotonic clock."""

    task: Task
    length_seconds: float
    granted_at: float
    renew_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.renewed(self.granted_at, self.length_seconds)

    def renewed(self, asked_at: float, length_seconds: float) -> None:
        self.granted_at, self.length_seconds = asked_at, length_seconds
        self.renew_at = asked_at + length_seconds * RENEW_AFTER

    @property
    def ref(self) -> dict[str, str]:
        """How the API names it."""
        return {"task_id": self.task.id, "lease_token": self.task.lease_token}


class Desk:
    """Holds at most `running` tasks that run and `waiting` that wait, and as many answers as `answers`."""

    def __init__(self, running: int, waiting: int, answers: int) -> None:
        self._most_running, self._most_waiting, self._most_answers = running, waiting, answers
        self._waiting: deque[Lease] = deque()
        self._running: dict[str, Lease] = {}  # by lease token: a task may be leased twice after an outage
        self._answered: dict[str, Lease] = {}
        self._changed = threading.Condition()
        self._closed = False

    def room(self) -> int:
        """How many tasks may be leased now; 0 until enough have gone that asking in bulk pays."""
        with self._changed:
            return self._room()

    def _room(self) -> int:
        held = len(self._waiting) + len(self._running)
        if self._closed or len(self._waiting) > self._most_waiting // 2:
            return 0
        room = self._most_running + self._most_waiting - held
        return max(min(room, self._most_answers - held - len(self._answered)), 0)

    def wait_for_room(self, timeout_seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._room() > 0, timeout_seconds)

    def add(self, leases: Iterable[Lease]) -> list[Lease]:
        """Take leases in; they wait for their turn. A closed desk takes none: it gives them back."""
        with self._changed:
            if self._closed:
                return list(leases)
            self._waiting.extend(leases)
            self._changed.notify_all()
            return []

    def begin(self) -> Lease | None:
        """Take the next task to run, or None. One whose lease has run out waits until it is renewed or taken away."""
        with self._changed:
            if self._closed or len(self._running) >= self._most_running:
                return None
            now = time.monotonic()
            for lease in self._waiting:
                if lease.granted_at + lease.length_seconds > now:
                    self._waiting.remove(lease)
                    self._running[lease.task.lease_token] = lease
                    return lease
            return None

    def not_begun(self, lease: Lease) -> bool:
        """Let a task that could not be begun wait again, before all others. A closed desk takes none."""
        with self._changed:
            if self._closed:
                return False
            if self._running.pop(lease.task.lease_token, None):
                self._waiting.appendleft(lease)
            self._changed.notify_all()
            return True

    def answered(self, lease: Lease) -> None:
        """Note that a running task has its report, which is still to be sent."""
        with self._changed:
            if self._running.pop(lease.task.lease_token, None):
                self._answered[lease.task.lease_token] = lease
            self._changed.notify_all()

    def forget(self, lease_tokens: Iterable[str]) -> None:
        """Let go of leases: reported, or not worth a report."""
        with self._changed:
            for token in lease_tokens:
                self._running.pop(token, None)
                self._answered.pop(token, None)
            self._changed.notify_all()

    def taken_away(self, lease: Lease) -> None:
        """The service wants no work on it any more: what waits goes, what runs is told, an answer is still sent."""
        with self._changed:
            lease.renew_at = float("inf")
            lease.task.stopping.set()
            if lease in self._waiting:
                self._waiting.remove(lease)
            self._changed.notify_all()

    def due(self) -> list[Lease]:
        """List the leases to renew now, and those to renew soon; none while no lease is due."""
        with self._changed:
            now, held = time.monotonic(), list(self._held())
            if not any(lease.renew_at <= now for lease in held):
                return []
            return [lease for lease in held if lease.renew_at <= now + lease.length_seconds * RENEW_TOGETHER]

    def wait_until_due(self, longest_seconds: float) -> None:
        """Wait until a lease may be due, but no longer than `longest_seconds`."""
        with self._changed:
            next_at = min((lease.renew_at for lease in self._held()), default=float("inf"))
            self._changed.wait(min(max(next_at - time.monotonic(), 0.0), longest_seconds))

    def close(self) -> list[Lease]:
        """Begin and lease nothing more; give out what has not begun, to be handed back."""
        with self._changed:
            self._closed = True
            return self.give_out()

    def give_out(self) -> list[Lease]:
        """Give out what has not begun, to be handed back."""
        with self._changed:
            waiting, self._waiting = list(self._waiting), deque()
            self._changed.notify_all()
            return waiting

    def wait_until_idle(self, deadline: float) -> list[Lease]:
        """Wait until nothing runs, at most until `deadline` on the monotonic clock; list what still runs."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running, max(deadline - time.monotonic(), 0.0))
            return list(self._running.values())

    def counts(self) -> dict[str, int]:
        with self._changed:
            return {"waiting": len(self._waiting), "running": len(self._running), "unreported": len(self._answered)}

    def _held(self) -> Iterable[Lease]:
        yield from self._waiting
        yield from self._running.values()
        yield from self._answered.values()
