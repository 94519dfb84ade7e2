"""Long answers that are made while they are sent. Each occupies a thread until its reader has taken it."""

import threading
from collections.abc import Iterator

from flask import Response, stream_with_context

from app.errors import Busy

MOST_DOWNLOADS = 3  # at the same time in this process: with waiting leases and streams, fewer than THREADS
_places = threading.BoundedSemaphore(MOST_DOWNLOADS)


def download(pieces: Iterator[bytes], content_type: str, file_name: str | None = None) -> Response:
    """Stream `pieces`; with a `file_name`, browsers save them under that name. Raises Busy."""
    if not _places.acquire(blocking=False):
        raise Busy("This process has as many open downloads as it allows.")
    response = Response(stream_with_context(pieces), content_type=content_type)
    response.call_on_close(_places.release)
    if file_name is not None:
        response.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response
