"""Server-sent events: answers that stay open. Each occupies a thread, so they are few, and each ends after a while.

A stream ends as soon as its reader has gone. When no place is free, the newest stream of an owner takes the place of
that owner's oldest, which gets the event `replaced`.
"""

import math
import threading
import time
from collections.abc import Callable, Hashable, Iterator

from flask import Response, request, stream_with_context

from app.errors import Busy
from app.web.services import services

MOST_STREAMS = 4  # open at the same time in this process
STREAM_SECONDS = 25.0  # then the browser connects again: an open stream must not delay a shutdown
LOOK_SECONDS = 0.25  # between two looks at the reader: a stream ends soon after its reader has gone
ALLOWED_SECONDS = 1.0  # between two looks whether it is still allowed: a look may read the database
REPLACE_SECONDS = 5.0  # until an oldest stream has given its place back
REPLACED = "event: replaced\ndata: a newer page has the stream\n\n"


class Place:
    """The place of an open stream."""

    def __init__(self, owner: Hashable) -> None:
        self.owner = owner
        self.is_wanted = threading.Event()  # by a newer stream of the same owner


class Places:
    """The places of the open streams of this process, the oldest first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: list[Place] = []
        self._changed = threading.Condition()

    def take(self, owner: Hashable) -> Place:
        """Take a free place, or that of the owner's oldest stream (None owns no stream). Raises Busy."""
        with self._changed:
            if len(self._taken) >= self._most:
                waiting = [each for each in self._taken if each.owner == owner and not each.is_wanted.is_set()]
                if owner is None or not waiting:
                    raise Busy("This process has as many open streams as it allows.")
                waiting[0].is_wanted.set()
                if not self._changed.wait_for(lambda: len(self._taken) < self._most, REPLACE_SECONDS):
                    raise Busy("This process has as many open streams as it allows.")
            place = Place(owner)
            self._taken.append(place)
        return place

    def give_back(self, place: Place) -> None:
        """Free a place."""
        with self._changed:
            self._taken.remove(place)
            self._changed.notify_all()


_places = Places(MOST_STREAMS)


def stream(
    new_events: Callable[[], Iterator[str]],
    every_seconds: float,
    is_allowed: Callable[[], bool],
    owner: Hashable = None,
) -> Response:
    """Open a stream that sends the events of `new_events`, called every `every_seconds`, while `is_allowed`.

    Raises Busy.
    """
    places, place = _places, _places.take(owner)
    has_gone: Callable[[], bool] = request.environ.get("interlock.client_has_gone", lambda: False)
    response = Response(
        stream_with_context(_events(new_events, every_seconds, _now_and_then(is_allowed), has_gone, place)),
        content_type="text/event-stream",
    )
    response.call_on_close(lambda: places.give_back(place))
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _now_and_then(is_allowed: Callable[[], bool]) -> Callable[[], bool]:
    """Ask whether a stream is allowed at most every ALLOWED_SECONDS; in between its last answer holds."""
    asked_at, answer = time.monotonic(), True

    def asked() -> bool:
        nonlocal asked_at, answer
        if time.monotonic() - asked_at >= ALLOWED_SECONDS:
            asked_at, answer = time.monotonic(), is_allowed()
        return answer

    return asked


def _events(
    new_events: Callable[[], Iterator[str]],
    every_seconds: float,
    is_allowed: Callable[[], bool],
    has_gone: Callable[[], bool],
    place: Place,
) -> Iterator[str]:
    deadline, stopping = time.monotonic() + STREAM_SECONDS, services().queue.stopping
    yield "retry: 1000\n\n"
    while time.monotonic() < deadline:
        sent = False
        for event in new_events():
            sent = True
            yield event
        if not sent:
            yield ": still here\n\n"
        for _ in range(math.ceil(every_seconds / LOOK_SECONDS)):
            if stopping.wait(LOOK_SECONDS) or has_gone() or not is_allowed():
                return
            if place.is_wanted.is_set():
                yield REPLACED
                return
