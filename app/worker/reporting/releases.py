"""Releases leases: in bulk, and until the service has answered, since a lease that runs out costs an attempt."""

import threading
import time
from collections.abc import Callable
from functools import partial

import structlog

from app.worker.held_leases import Lease
from app.worker.service.client import READ_SECONDS, Client
from app.worker.service.retries import call_with_retries
from app.worker.service.service_answers import Refused, Unavailable

log = structlog.get_logger(__name__)

TOGETHER_SECONDS = 0.05  # a closing releases the tasks of many threads
LAST_SECONDS = 2.0  # for a service that hangs, at the end of the worker


class Releases:
    """`run` releases until `finish`. `on_released` is called with the lease tokens of each release, answered or not."""

    def __init__(self, client: Client, on_released: Callable[[list[str]], None]) -> None:
        self._client = client
        self._on_released = on_released
        self._leases: list[Lease] = []
        self._changed = threading.Condition()
        self._deadline = float("inf")  # on the monotonic clock

    def put(self, leases: list[Lease]) -> None:
        """Add leases to release. Their tasks must not run."""
        with self._changed:
            self._leases += leases
            self._changed.notify_all()

    def finish(self) -> None:
        """Let `run` end when all is released, or soon."""
        with self._changed:
            self._deadline = time.monotonic() + LAST_SECONDS
            self._changed.notify_all()

    def run(self) -> None:
        while leases := self._next():
            timeout = READ_SECONDS if self._deadline == float("inf") else LAST_SECONDS
            release = partial(self._client.release, [lease.ref for lease in leases], timeout)
            try:
                call_with_retries(release, lambda *_: time.monotonic() < self._deadline)
                log.info("tasks_released", tasks=len(leases))
            except (Unavailable, Refused) as error:
                log.warning("tasks_not_released", tasks=len(leases), reason=str(error))
            self._on_released([lease.task.lease_token for lease in leases])

    def _next(self) -> list[Lease]:
        """Wait for leases and take them all; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._leases or self._deadline < float("inf"))
            self._changed.wait_for(lambda: self._deadline < float("inf"), TOGETHER_SECONDS)
            leases, self._leases = self._leases, []
            return leases
