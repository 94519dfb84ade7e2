"""Bodies that are in memory: those of one process have together a limited number of bytes.

A body of 64 MiB takes several times as much while it is parsed and stored, and each thread may have one. Without this
limit, a few callers that send the largest allowed bodies at the same time would need many gigabytes.
"""

import threading
from collections.abc import Mapping
from typing import Any

from flask import Flask, current_app, g, request

from app.errors import Busy

SMALL_BYTES = 1024 * 1024  # a smaller body is not counted
_MOST_DIGITS = 18  # of a length; one with more is refused wherever the body is read
MOST_BODIES = 2  # of the largest allowed size, or more that are smaller


class Room:
    """A number of bytes, of which parts are taken and given back."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes
        self._lock = threading.Lock()

    def take(self, amount: int) -> bool:
        """Take `amount` bytes; False if so many are not left."""
        with self._lock:
            fits = amount <= self._left
            self._left -= amount if fits else 0
            return fits

    def give_back(self, amount: int) -> None:
        with self._lock:
            self._left += amount


def stated_bytes(environ: Mapping[str, Any]) -> int:
    """Read how large a body is; 0 if its Content-Length does not say it."""
    stated = environ.get("CONTENT_LENGTH", "")
    return int(stated) if stated.isdecimal() and len(stated) <= _MOST_DIGITS else 0


def register(app: Flask) -> None:
    """Count the bodies of an application."""
    most_bytes: int = app.config["MAX_CONTENT_LENGTH"]
    room = Room(MOST_BODIES * most_bytes)

    @app.before_request
    def take() -> None:
        # A body beyond the limit is refused later, or is written to a file.
        amount = min(stated_bytes(request.environ), most_bytes)
        if amount < SMALL_BYTES:
            return
        if not room.take(amount):
            raise Busy("This process handles as many large bodies as it has room for.")
        g.body_bytes = amount

    @app.teardown_request
    def end(_: BaseException | None) -> None:
        if amount := g.pop("body_bytes", 0):
            room.give_back(amount)

    app.extensions["interlock_room"] = room


def is_in_a_file() -> None:
    """Note that this request's body is written to a file and takes no memory."""
    current_app.extensions["interlock_room"].give_back(g.pop("body_bytes", 0))
