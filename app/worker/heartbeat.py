"""Renews leases in bulk, well before they expire, and learns which of them the service revoked."""

import threading
import time
from collections.abc import Callable

import structlog

from app.worker.held_leases import HeldLeases, Lease
from app.worker.service.client import MAX_LEASES, Client
from app.worker.service.service_answers import Refused, Unauthorized, Unavailable

log = structlog.get_logger(__name__)

MAX_WAIT_SECONDS = 0.5  # a new lease that is shorter than the others is noticed after this time at the latest
MIN_WAIT_SECONDS = 0.05
RETRY_AFTER = 1 / 10  # of a lease's length, after a heartbeat without a valid answer
MAX_RETRY_SECONDS = 2.0


class Heartbeat:
    """`run` renews leases until `stop` is set. Raises Unauthorized.

    It calls `on_renewed` after a renewal: a task whose lease had expired may be started then.
    """

    def __init__(
        self, client: Client, held: HeldLeases, on_renewed: Callable[[], None], lease_seconds: int | None = None
    ) -> None:
        self._client = client
        self._held = held
        self._on_renewed = on_renewed
        self._lease_seconds = lease_seconds

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if due := self._held.due():
                for start in range(0, len(due), MAX_LEASES):
                    self.renew(due[start : start + MAX_LEASES])
            else:
                self._held.wait_until_due(MAX_WAIT_SECONDS)
            stop.wait(MIN_WAIT_SECONDS)

    def renew(self, leases: list[Lease]) -> None:
        """Renew these leases with one request. Raises Unauthorized."""
        sent_at = time.monotonic()
        try:
            granted = self._client.heartbeat([lease.ref for lease in leases], self._lease_seconds)
        except Unauthorized:
            raise
        except Unavailable:
            self._retry_soon(leases)
            return
        except Refused as refusal:
            log.error("heartbeat_refused", reason=str(refusal), leases=len(leases))
            self._retry_soon(leases)
            return
        if len(granted.rows) != len(leases):
            log.error("heartbeat_malformed", leases=len(leases), answers=len(granted.rows))
            self._retry_soon(leases)
            return
        # Matched by order, not by task: after an outage, two leases of one task may be held.
        for lease, row, seconds in zip(leases, granted.rows, granted.lease_seconds, strict=True):
            if row.get("ok"):
                lease.extend(sent_at, seconds)
            else:
                log.info("lease_revoked", task_id=lease.task.id, reason=row.get("reason"))
                self._held.revoke(lease)
        self._on_renewed()

    def _retry_soon(self, leases: list[Lease]) -> None:
        now = time.monotonic()
        for lease in leases:
            lease.renew_at = now + min(lease.length_seconds * RETRY_AFTER, MAX_RETRY_SECONDS)
