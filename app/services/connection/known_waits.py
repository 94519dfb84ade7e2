"""What the tasks of batches wait for, as this process knows it: many look at the same batch again and again."""

from datetime import datetime

from sqlalchemy import Connection

from app.batch_memory import BatchMemory
from app.services.connection.waiting import WaitingFor, waiting_for

TRUSTED_SECONDS = 1.9  # less than between two looks of a stream of changes


class KnownWaits:
    """What batches wait for, read anew after TRUSTED_SECONDS."""

    def __init__(self) -> None:
        self._known: BatchMemory[list[WaitingFor]] = BatchMemory(TRUSTED_SECONDS)

    def of(self, connection: Connection, batch_id: int, now: datetime) -> list[WaitingFor]:
        """Give what a batch waits for."""
        if (known := self._known.get(batch_id)) is not None:
            return known
        return self._known.put(batch_id, waiting_for(connection, batch_id, now))
