"""Which batch is next: shares the leases of one server process among batches, in proportion to their weights.

Stride scheduling (C. A. Waldspurger and W. E. Weihl, "Stride Scheduling: Deterministic Proportional-Share
Resource Management", MIT/LCS/TM-528, 1995): each batch has a number, its pass. The batch with the smallest pass
is next, and each lease it gets raises its pass by 1 / weight. A batch that leaves while it is ahead of its share is
still ahead when it comes back: leaving gains nothing. Knows no database and no clock; a restart may forget all of it.
"""

from collections.abc import Container, Mapping
from heapq import heapreplace
from threading import Lock

LOWEST_PRIORITY, HIGHEST_PRIORITY = 0, 9
STRIDE = 2520  # a lease at weight 1 raises the pass by it; divisible by every weight, so that passes are exact integers


def weight(priority: int) -> int:
    """How many leases a batch of this priority (0..9) gets while one of priority 0 gets one."""
    return min(max(priority, LOWEST_PRIORITY), HIGHEST_PRIORITY) + 1


class Turns:
    """Batches take turns: a batch of ten tasks does not wait for a batch of a million.

    1. `share` decides from which batches to lease, and how many tasks. 2. The caller leases. 3. The caller passes the
    number of tasks it got to `charge`, which may be less than the share. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._passes: dict[int, int] = {}
        self._weights: dict[int, int] = {}  # of the current candidates
        self._now = 0  # the virtual time: the pass of a batch that always got exactly its share

    def order(self, candidates: Mapping[int, int]) -> list[int]:
        """Sort the batches (id -> priority 0..9), the next one first."""
        with self._lock:
            self._admit(candidates)
            return self._in_order(candidates)

    def share(self, candidates: Mapping[int, int], amount: int, most_batches: int = 8) -> list[tuple[int, int]]:
        """Split `amount` leases among the candidates (id -> priority 0..9): pairs of batch id and quota >= 1.

        The quotas add up to `amount`. At most `most_batches` batches get one: those with the smallest passes.
        This charges nothing: call `charge` with the number of tasks that were leased.
        """
        with self._lock:
            self._admit(candidates)
            chosen = self._in_order(candidates)[: max(most_batches, 0)]
            if not chosen or amount < 1:
                return []
            quotas = dict.fromkeys(chosen, 0)
            heap = [(self._passes[batch_id], place, batch_id) for place, batch_id in enumerate(chosen)]
            for _ in range(amount):  # a sorted list is a heap
                virtual_pass, place, batch_id = heap[0]
                quotas[batch_id] += 1
                heapreplace(heap, (virtual_pass + STRIDE // self._weights[batch_id], place, batch_id))
            return [(batch_id, quota) for batch_id, quota in quotas.items() if quota]

    def charge(self, batch_id: int, granted: int) -> None:
        """Raise a batch's pass by `granted` leases; a batch that is not a candidate any more is ignored."""
        with self._lock:
            if batch_id in self._weights:
                self._passes[batch_id] += granted * STRIDE // self._weights[batch_id]
                self._now += granted * STRIDE // sum(self._weights.values())

    def _admit(self, candidates: Mapping[int, int]) -> None:
        """Start new batches at the present time, without credit for the past; forget those that left, unless ahead."""
        present = [self._passes[batch_id] for batch_id in candidates if batch_id in self._passes]
        self._now = max(self._now, min(present, default=0))
        self._passes = {b: p for b, p in self._passes.items() if b in candidates or p > self._now}
        for batch_id in sorted(candidates, reverse=True):
            self._passes.setdefault(batch_id, self._now)
        self._weights = {batch_id: weight(priority) for batch_id, priority in candidates.items()}

    def _in_order(self, candidates: Container[int]) -> list[int]:
        """Sort by pass; of two with the same pass the newer batch is first, so that a new batch begins at once."""
        latest_first = [batch_id for batch_id in reversed(self._passes) if batch_id in candidates]
        return sorted(latest_first, key=self._passes.__getitem__)
