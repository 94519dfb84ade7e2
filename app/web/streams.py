"""Server-sent events: answers that stay open. Each occupies a thread, so they are few, and each ends after a while."""

import threading
import time
from collections.abc import Callable, Iterator

from flask import Response, stream_with_context

from app.errors import Busy
from app.web.services import services

MOST_STREAMS = 4  # open at the same time in this process
STREAM_SECONDS = 25.0  # then the browser connects again: an open stream must not delay a shutdown
_places = threading.BoundedSemaphore(MOST_STREAMS)


def stream(new_events: Callable[[], Iterator[str]], every_seconds: float) -> Response:
    """Open a stream that sends the events of `new_events`, called every `every_seconds`. Raises Busy."""
    if not _places.acquire(blocking=False):
        raise Busy("This process has as many open streams as it allows.")
    response = Response(stream_with_context(_events(new_events, every_seconds)), content_type="text/event-stream")
    response.call_on_close(_places.release)
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _events(new_events: Callable[[], Iterator[str]], every_seconds: float) -> Iterator[str]:
    deadline, stopping = time.monotonic() + STREAM_SECONDS, services().queue.stopping
    yield "retry: 1000\n\n"
    while time.monotonic() < deadline:
        sent = False
        for event in new_events():
            sent = True
            yield event
        if not sent:
            yield ": still here\n\n"  # fails if the client has gone
        if stopping.wait(every_seconds):
            return
