"""What the tasks of batches wait for, as this process knows it: many look at the same batch again and again."""

import time
from datetime import datetime

from sqlalchemy import Connection

from app.services.connection.waiting import WaitingFor, waiting_for

TRUSTED_SECONDS = 1.9  # less than between two looks of a stream of changes
MOST_KEPT = 256


class KnownWaits:
    """What batches wait for, read anew after TRUSTED_SECONDS; of too many batches the oldest are dropped."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[float, list[WaitingFor]]] = {}

    def of(self, connection: Connection, batch_id: int, now: datetime) -> list[WaitingFor]:
        """Give what a batch waits for."""
        at, known = self._kept.get(batch_id, (0.0, None))
        if known is not None and time.monotonic() - at < TRUSTED_SECONDS:
            return known
        found = waiting_for(connection, batch_id, now)
        self._kept.pop(batch_id, None)
        self._kept[batch_id] = time.monotonic(), found
        for oldest in list(self._kept)[:-MOST_KEPT]:
            self._kept.pop(oldest, None)
        return found
