"""The bar of every page: how many workers went silent, and the time."""

import threading
import time

from flask import Flask

from app.domain.times import rfc3339
from app.errors import Refusal
from app.web.services import services

KEPT_SECONDS = 5.0
_EXTENSION = "interlock_silent_workers"


class SilentWorkers:
    """The number of silent workers, read anew every few seconds: it is on every page."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = -KEPT_SECONDS
        self._amount = 0

    def __call__(self) -> int:
        with self._lock:
            if time.monotonic() - self._read_at < KEPT_SECONDS:
                return self._amount
            self._read_at = time.monotonic()
        try:
            self._amount = services().reads.workers.silent()
        except Refusal:  # the database is away: the page says so where it matters
            self._amount = 0
        return self._amount


def time_now() -> str:
    """The time of the database's clock, by which scripts write ages; empty while the database is away."""
    try:
        return rfc3339(services().clock.now())
    except Refusal:
        return ""


def prepare_frame(app: Flask) -> None:
    """Give the templates of an application the number of silent workers, and the time."""
    app.jinja_env.globals["silent_workers"] = SilentWorkers()
    app.jinja_env.globals["time_now"] = time_now
