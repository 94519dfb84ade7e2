"""Where in the queue the last lease of each target ended: the next one of this process begins there.

A session that holds an old snapshot open keeps PostgreSQL from removing the index entries of tasks that were leased
before it ends. A lease from the head of the queue steps over all of them; a lease from a position does not.

A position promises nothing. A task may come to lie before it: one that another lease held and gave back, or one whose
transaction began earlier and was committed later. So two kinds of leases begin at the head: one that finds less than it
wants behind the position, and one from time to time, so seldom that it takes at most 2 % of the time.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

Queue = tuple[int, int, str, int]  # batch id, run, kind, target
Position = tuple[datetime, int]  # available_at and id of the last task that was leased
HEAD: Position = (datetime(1970, 1, 1, tzinfo=UTC), 0)  # before all tasks

LEAST_SECONDS = 1.0  # between two leases from the head of a queue
SHARE = 0.02  # of the time, for leases from the head
MOST_QUEUES = 10_000  # whose positions are kept


@dataclass(frozen=True)
class Reached:
    """How far a lease of a queue came, and how long it took from the head; None if it began at a position."""

    queue: Queue
    position: Position
    head_seconds: float | None


class Positions:
    """The positions of this process. A lost one costs a lease from the head."""

    def __init__(self) -> None:
        self._positions: dict[Queue, Position] = {}
        self._head_at: dict[Queue, float] = {}  # when the next lease begins at the head

    def of(self, queue: Queue) -> Position | None:
        """Give the position at which a lease of `queue` begins; None for its head."""
        return self._positions.get(queue) if time.monotonic() < self._head_at.get(queue, 0.0) else None

    def keep(self, reached: Iterable[Reached]) -> None:
        """Keep how far the leases of a transaction came that was committed."""
        for each in reached:
            if len(self._positions) >= MOST_QUEUES:
                self._positions.clear()
                self._head_at.clear()
            self._positions[each.queue] = each.position
            if each.head_seconds is not None:
                self._head_at[each.queue] = time.monotonic() + max(LEAST_SECONDS, each.head_seconds / SHARE)
