"""Renews leases well before they end, in bulk, and hears which tasks nobody wants any more."""

import threading
import time
from collections.abc import Callable

import structlog

from app.worker.client import MOST_LEASES, Away, Client, Refused, Unwelcome
from app.worker.held_leases import Desk, Lease

log = structlog.get_logger(__name__)

LONGEST_NAP_SECONDS = 0.5  # also how late it notices a new, shorter lease
SHORTEST_NAP_SECONDS = 0.05
AGAIN_AFTER = 1 / 10  # of a lease's length, after a heartbeat without an answer
LONGEST_AGAIN_SECONDS = 2.0


class Heartbeat:
    """`run` goes on until `stop` is set. An Unwelcome ends it: it is the caller's to see.

    `on_renewed` is called after leases were renewed: a task that had waited for that may begin.
    """

    def __init__(
        self, client: Client, desk: Desk, on_renewed: Callable[[], None], lease_seconds: int | None = None
    ) -> None:
        self._client = client
        self._desk = desk
        self._on_renewed = on_renewed
        self._lease_seconds = lease_seconds

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if due := self._desk.due():
                for start in range(0, len(due), MOST_LEASES):
                    self.renew(due[start : start + MOST_LEASES])
            else:
                self._desk.wait_until_due(LONGEST_NAP_SECONDS)
            stop.wait(SHORTEST_NAP_SECONDS)

    def renew(self, leases: list[Lease]) -> None:
        """Renew these leases with one call. Raises Unwelcome."""
        asked_at = time.monotonic()
        try:
            granted = self._client.heartbeat([lease.ref for lease in leases], self._lease_seconds)
        except Unwelcome:
            raise
        except Away:
            self._try_again_soon(leases)
            return
        except Refused as refusal:
            log.error("heartbeat_refused", reason=str(refusal), leases=len(leases))
            self._try_again_soon(leases)
            return
        if len(granted.rows) != len(leases):
            log.error("heartbeat_misunderstood", asked=len(leases), answered=len(granted.rows))
            self._try_again_soon(leases)
            return
        # By their order, not by task: one task may be here under two leases after an outage.
        for lease, row, seconds in zip(leases, granted.rows, granted.lease_seconds, strict=True):
            if row.get("ok"):
                lease.renewed(asked_at, seconds)
            else:
                log.info("task_taken_away", task_id=lease.task.id, reason=row.get("reason"))
                self._desk.taken_away(lease)
        self._on_renewed()

    def _try_again_soon(self, leases: list[Lease]) -> None:
        now = time.monotonic()
        for lease in leases:
            lease.renew_at = now + min(lease.length_seconds * AGAIN_AFTER, LONGEST_AGAIN_SECONDS)
