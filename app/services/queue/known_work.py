"""What there is to lease, as this process knows it: it is read again and again, but not for each lease."""

import time

from sqlalchemy import Engine

from app.db import reading
from app.services.queue import work
from app.services.queue.work import Closed, Work

CANDIDATES_SECONDS = 0.2  # how long a list of batches with work is trusted; the lease itself checks again
# If it takes long to read, it is trusted 20 times as long, up to ten times the above: so it takes 5 % of the time.
TRUSTED_TIMES_READ, MOST_TIMES = 20, 10
MOST_LISTS = 1_000  # that are kept: one of all batches, and one of each batch for which workers ask by its id


class KnownWork:
    """Lists of work, by the batch that workers ask for. What they say of closed circuits is at most 0.2 s old."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lists: dict[int | None, tuple[Work, float]] = {}  # None: of all; with the end of its trust
        self._closed = Closed()
        self._closed_read_at = 0.0

    def forget(self) -> None:
        """Read everything anew at the next lease: a circuit has changed."""
        self._closed_read_at = 0.0
        self._lists.clear()

    def find(self, batch_id: int | None, fresh: bool) -> tuple[Work, bool]:
        """Find the batches that have work, of all or of one; and tell whether that was read just now."""
        began = time.monotonic()
        known, until = self._lists.get(batch_id, (None, 0.0))
        if fresh or began >= until:
            known = None
        is_closed_known = not fresh and began - self._closed_read_at < CANDIDATES_SECONDS
        if known and is_closed_known:
            return known.under(self._closed), False
        with reading(self._engine) as connection:
            if not is_closed_known:
                self._closed, self._closed_read_at = work.read_closed(connection), began
            if known:
                return known.under(self._closed), False
            found = Work.read(connection, self._closed, batch_id)
        self._keep(batch_id, found, time.monotonic() - began)
        return found, True

    def _keep(self, batch_id: int | None, found: Work, seconds: float) -> None:
        if len(self._lists) >= MOST_LISTS:
            self._lists.clear()
        trusted = max(CANDIDATES_SECONDS, min(TRUSTED_TIMES_READ * seconds, MOST_TIMES * CANDIDATES_SECONDS))
        self._lists[batch_id] = found, time.monotonic() + trusted
