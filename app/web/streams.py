"""Answers that stay open and tell what happens: few at a time, since each keeps a thread, and none for long."""

import threading
import time
from collections.abc import Callable, Iterator

from flask import Response, stream_with_context

from app.errors import Busy
from app.web.services import services

MOST_STREAMS = 4  # of this process, whatever they tell
STREAM_SECONDS = 25.0  # then the browser comes back: an open stream must not hold a shutdown
_places = threading.BoundedSemaphore(MOST_STREAMS)


def stream(look: Callable[[], Iterator[str]], every_seconds: float) -> Response:
    """Open a stream of server-sent events: `look` gives those that are new. Raises Busy where enough are open."""
    if not _places.acquire(blocking=False):
        raise Busy("Enough streams are open in this process.")
    response = Response(stream_with_context(_events(look, every_seconds)), content_type="text/event-stream")
    response.call_on_close(_places.release)
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _events(look: Callable[[], Iterator[str]], every_seconds: float) -> Iterator[str]:
    deadline, stopping = time.monotonic() + STREAM_SECONDS, services().queue.stopping
    yield "retry: 1000\n\n"
    while time.monotonic() < deadline:
        told = False
        for event in look():
            told = True
            yield event
        if not told:
            yield ": still here\n\n"  # who has gone is noticed by it
        if stopping.wait(every_seconds):
            return
