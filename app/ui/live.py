"""The stream that tells pages to look again: no data in it, so a page never shows what it did not ask for."""

import threading
import time
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request, stream_with_context

from app.domain.transitions import LEASES_IN
from app.errors import Busy, NotFound
from app.services import Services
from app.ui.access import page
from app.wiring import services

routes = Blueprint("ui_live", __name__)

MOST_STREAMS = 4  # of this process: every open one keeps a thread. Others ask every few seconds
STREAM_SECONDS = 25.0  # then the browser comes back: an open stream must not hold a shutdown
LOOK_SECONDS = 1.0
_AT_WORK = frozenset().union(*LEASES_IN.values())
_streams = threading.BoundedSemaphore(MOST_STREAMS)


@page(routes, "GET", "/live")
def live() -> Response:
    """Stream an event at once, and whenever the batch (`?batch=`) or any batch has changed since."""
    batch_id = request.args.get("batch", type=int)
    if not _streams.acquire(blocking=False):
        raise Busy("Enough streams are open in this process.")
    name = "batches" if batch_id is None else f"batch-{batch_id}"
    response = Response(stream_with_context(_stream(services(), batch_id, name)), content_type="text/event-stream")
    response.call_on_close(_streams.release)
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _stream(built: Services, batch_id: int | None, name: str) -> Iterator[str]:
    deadline, shown = time.monotonic() + STREAM_SECONDS, None
    yield "retry: 1000\n\n"
    while time.monotonic() < deadline:
        try:
            found = _all_batches(built) if batch_id is None else _one_batch(built, batch_id)
        except NotFound:  # put away: the page says so when it looks
            found = None
        if found != shown:
            yield f"event: {name}\ndata: changed\n\n"
        else:
            yield ": still here\n\n"
        shown = found
        if built.queue.stopping.wait(LOOK_SECONDS):
            return


def _one_batch(built: Services, batch_id: int) -> Any:
    batch = built.queries.batch(batch_id)
    return batch["version"], batch["progress"], batch["usage"]


def _all_batches(built: Services) -> Any:
    """What a list shows moves with each change, and while batches are at work with the clock."""
    counts = built.queries.batches_by_state()
    is_moving = any(counts.get(state) for state in _AT_WORK)
    return built.queries.last_change(), counts, int(time.monotonic() / 3) if is_moving else 0
