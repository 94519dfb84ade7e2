"""What this process has read of batches lately: many look at the same batch again and again."""

import math
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

MOST_BATCHES = 256

T = TypeVar("T")


class BatchMemory(Generic[T]):
    """Keeps something of each batch for `seconds`; of more than `most` batches the oldest are dropped. Thread-safe.

    `of` says what it was read of, for example a run: what was read of another one is not given.
    """

    def __init__(
        self, seconds: float = math.inf, clock: Callable[[], float] = time.monotonic, most: int = MOST_BATCHES
    ) -> None:
        self._seconds, self._most = seconds, most
        self._clock = clock
        self._kept: dict[int, tuple[float, Hashable, T]] = {}

    def get(self, batch_id: int, of: Hashable = None) -> T | None:
        """Give what was read lately of a batch; None if nothing was."""
        at, read_of, found = self._kept.get(batch_id, (0.0, None, None))
        return found if read_of == of and self._clock() - at < self._seconds else None

    def put(self, batch_id: int, found: T, of: Hashable = None) -> T:
        """Keep what was read just now of a batch, and return it."""
        self._kept.pop(batch_id, None)
        self._kept[batch_id] = self._clock(), of, found
        for oldest in list(self._kept)[: -self._most]:
            self._kept.pop(oldest, None)
        return found
