"""Logs how long the service is unavailable: one line every few seconds, not one for each failed call."""

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger(__name__)

EVERY_SECONDS = 5.0


class Outage:
    """Shared by all threads that call the service. `describe` gives further fields for each log line."""

    def __init__(self, url: str) -> None:
        self.describe: Callable[[], dict[str, Any]] = dict
        self._url = url
        self._lock = threading.Lock()
        self._began_at: float | None = None  # both times are on the monotonic clock
        self._logged_at: float | None = None

    def failed(self, reason: str) -> None:
        """Note a call without an answer."""
        now = time.monotonic()
        with self._lock:
            if self._began_at is None:
                self._began_at = now
            unavailable_seconds = round(now - self._began_at, 1)
            if self._logged_at is not None and now - self._logged_at < EVERY_SECONDS:
                return
            self._logged_at = now
        log.warning(
            "service_unavailable",
            url=self._url,
            reason=reason,
            unavailable_seconds=unavailable_seconds,
            **self.describe(),
        )

    def ended(self) -> None:
        """Note a call that was answered."""
        if self._began_at is None:  # without the lock: most calls end here
            return
        with self._lock:
            began_at, self._began_at = self._began_at, None
            logged, self._logged_at = self._logged_at is not None, None
        if logged and began_at is not None:
            unavailable_seconds = round(time.monotonic() - began_at, 1)
            log.info("service_available", url=self._url, unavailable_seconds=unavailable_seconds)
