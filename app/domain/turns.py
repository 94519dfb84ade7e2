"""Whose turn it is: shares the leases of one server process fairly among batches, by weight.

Stride scheduling (C. A. Waldspurger and W. E. Weihl, "Stride Scheduling: Deterministic Proportional-Share
Resource Management", MIT/LCS/TM-528, 1995): each batch has a pass, the smallest is next, and what it is granted
moves its pass on by grants / weight. A batch that left while it was ahead of its share finds itself ahead when it
comes back, so that coming and going gains nothing. It knows no database and no clock; a restart forgets it all
without harm.
"""

from collections.abc import Container, Mapping
from heapq import heapreplace
from threading import Lock

LOWEST_PRIORITY, HIGHEST_PRIORITY = 0, 9
STRIDE = 2520  # what one lease costs at weight 1; divisible by every weight, so that passes are exact integers


def weight(priority: int) -> int:
    """How many leases a batch of this priority (0..9) gets for one of priority 0."""
    return min(max(priority, LOWEST_PRIORITY), HIGHEST_PRIORITY) + 1


class Turns:
    """Batches take turns: a batch of a million tasks does not make a batch of ten wait.

    1. `share` says whom to lease for, and how much. 2. The caller leases. 3. `charge` tells what was granted;
    a batch that had less than its share is charged for what it had. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._passes: dict[int, int] = {}
        self._weights: dict[int, int] = {}  # of the present candidates
        self._now = 0  # the virtual time: the pass of a batch that had exactly its share, always

    def order(self, candidates: Mapping[int, int]) -> list[int]:
        """List the batches (id -> priority 0..9) whose turn is nearest first."""
        with self._lock:
            self._admit(candidates)
            return self._in_order(candidates)

    def share(self, candidates: Mapping[int, int], amount: int, most_batches: int = 8) -> list[tuple[int, int]]:
        """Split `amount` leases among the candidates (id -> priority 0..9): pairs of batch id and quota >= 1.

        The quotas add up to `amount`; at most `most_batches` batches get one, those with the smallest pass.
        Nothing is charged: call `charge` with what was granted.
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
        """Move a batch's pass on by `granted` leases; no harm if it is no candidate any more."""
        with self._lock:
            if batch_id in self._weights:
                self._passes[batch_id] += granted * STRIDE // self._weights[batch_id]
                self._now += granted * STRIDE // sum(self._weights.values())

    def _admit(self, candidates: Mapping[int, int]) -> None:
        """Let newcomers begin now, without credit for the time before; forget who left and is not ahead."""
        present = [self._passes[batch_id] for batch_id in candidates if batch_id in self._passes]
        self._now = max(self._now, min(present, default=0))
        self._passes = {b: p for b, p in self._passes.items() if b in candidates or p > self._now}
        for batch_id in sorted(candidates, reverse=True):
            self._passes.setdefault(batch_id, self._now)
        self._weights = {batch_id: weight(priority) for batch_id, priority in candidates.items()}

    def _in_order(self, candidates: Container[int]) -> list[int]:
        """Sort by pass; of two with the same, whoever came last is first, so that nobody waits to begin."""
        latest_first = [batch_id for batch_id in reversed(self._passes) if batch_id in candidates]
        return sorted(latest_first, key=self._passes.__getitem__)
