"""How many tasks of one connection run: while tasks of several connections come, none has more than an equal share.

Otherwise a connection whose calls hang takes one thread after the other, until the others have none.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable

RECENT_SECONDS = 10.0  # a connection counts for so long after its last task


class Shares:
    """Counts running tasks by the names of their connections. Not thread-safe."""

    def __init__(self, running: int, waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_running, self._max_waiting = running, waiting
        self._clock = clock
        self._running: Counter[str] = Counter()
        self._seen_at: dict[str, float] = {}

    def came(self, connection: str) -> None:
        """Note that a task of a connection was leased."""
        self._seen_at[connection] = self._clock()

    def started(self, connection: str) -> None:
        """Count a task as running."""
        self._running[connection] += 1
        self.came(connection)

    def ended(self, connection: str) -> None:
        """Count a task as running no more."""
        self._running[connection] -= 1
        self.came(connection)

    def has_room(self, connection: str) -> bool:
        """Whether a further task of a connection may start."""
        return self._running[connection] < math.ceil(self._max_running / self._amount())

    def saturated(self, waiting: Iterable[str]) -> set[str]:
        """Find the connections of which enough tasks wait and none may start. `waiting` names that of each task."""
        amount = self._amount()
        if amount == 1:
            return set()
        enough = max(self._max_waiting // amount, 1)
        return {name for name, tasks in Counter(waiting).items() if tasks >= enough and not self.has_room(name)}

    def _amount(self) -> int:
        """Count the connections with running or recent tasks."""
        if len(self._seen_at) <= 1:
            return 1
        since = self._clock() - RECENT_SECONDS
        for name in [name for name, at in self._seen_at.items() if at < since and not self._running[name]]:
            del self._seen_at[name]
        return len(self._seen_at) or 1
