"""The time of the database's clock, outside of its transactions. The clock of this machine may be wrong."""

import time
from datetime import datetime, timedelta

from sqlalchemy import Engine

from app import db

REREAD_SECONDS = 60.0


class Clock:
    """Reads the database's clock once a minute, and goes on from there by this machine's monotonic clock."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._read: tuple[datetime, float] | None = None  # the database's time, and the monotonic time then

    def now(self) -> datetime:
        """Return the database's time, a few milliseconds late at most. Raises Unavailable, Busy."""
        if self._read is None or time.monotonic() - self._read[1] > REREAD_SECONDS:
            return self.read()
        at, then = self._read
        return at + timedelta(seconds=time.monotonic() - then)

    def read(self) -> datetime:
        """Read the database's time. Raises Unavailable, Busy."""
        with db.reading(self._engine) as connection:
            at = db.now(connection)
        self._read = (at, time.monotonic())
        return at
