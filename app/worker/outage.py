"""How long the service has been away, told in a log line now and then rather than at every attempt."""

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger(__name__)

EVERY_SECONDS = 5.0


class Outage:
    """Shared by all threads that call the service. `describe` adds to each line what is waiting here."""

    def __init__(self, url: str) -> None:
        self.describe: Callable[[], dict[str, Any]] = dict
        self._url = url
        self._lock = threading.Lock()
        self._began_at: float | None = None  # on the monotonic clock, as the next one
        self._told_at = float("-inf")

    def goes_on(self, reason: str) -> None:
        """Note a call that was not answered."""
        now = time.monotonic()
        with self._lock:
            if self._began_at is None:
                self._began_at = now
            away_seconds = round(now - self._began_at, 1)
            if now - self._told_at < EVERY_SECONDS:
                return
            self._told_at = now
        log.warning("service_away", url=self._url, reason=reason, away_seconds=away_seconds, **self.describe())

    def over(self) -> None:
        """Note a call that was answered."""
        if self._began_at is None:
            return
        with self._lock:
            began_at, self._began_at = self._began_at, None
            told, self._told_at = self._told_at > float("-inf"), float("-inf")
        if told and began_at is not None:
            log.info("service_back", url=self._url, away_seconds=round(time.monotonic() - began_at, 1))
