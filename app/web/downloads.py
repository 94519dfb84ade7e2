"""Long answers that are made while they are sent. Each occupies a thread until its reader has taken it."""

import threading
from collections.abc import Iterator
from contextlib import suppress

from flask import Response, stream_with_context

from app.errors import Busy

MOST_DOWNLOADS = 3  # at the same time in this process: with waiting leases and streams, fewer than THREADS
_places = threading.BoundedSemaphore(MOST_DOWNLOADS)


class Place:
    """One of the places, released once: at the end of the answer, or when its reader has gone."""

    def __init__(self) -> None:
        if not _places.acquire(blocking=False):
            raise Busy("This process has as many open downloads as it allows.")
        self._held = [self]

    def release(self) -> None:
        with suppress(IndexError):  # it was released before
            self._held.pop()
            _places.release()


def download(
    pieces: Iterator[bytes], content_type: str, file_name: str | None = None, place: Place | None = None
) -> Response:
    """Stream `pieces`; with a `file_name`, browsers save them under that name. Raises Busy without a free `place`."""
    place = place or Place()
    response = Response(stream_with_context(_to_the_end(pieces, place)), content_type=content_type)
    response.call_on_close(place.release)  # also of an answer that is never begun, as to a HEAD
    if file_name is not None:
        response.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response


def _to_the_end(pieces: Iterator[bytes], place: Place) -> Iterator[bytes]:
    try:
        yield from pieces
    finally:
        place.release()
