"""The state machine to read, and the feed of changes as server-sent events."""

import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from flask import Response, request, stream_with_context

from app.api.access import READERS
from app.api.replies import reply
from app.api.routes import Routes
from app.api.schemas import DiagramQuery
from app.domain import diagram
from app.errors import Busy
from app.services.views import rfc3339
from app.wiring import services

routes = Routes("service", __name__, url_prefix="/api", description="The service itself")

STREAM_SECONDS = 25.0  # then the browser comes back with Last-Event-ID: an open stream must not hold a shutdown
POLL_SECONDS = 0.5
OVERLAP = timedelta(seconds=5)  # commits are not in the order of their times: look back that far
_FORMATS = {
    "application/json": {"schema": {"type": "object"}},
    "text/plain": {"schema": {"type": "string", "description": "A Mermaid diagram"}},
    "image/svg+xml": {"schema": {"type": "string"}},
}
_streams = threading.BoundedSemaphore(4)  # of this process: every open one keeps a thread


@routes.call("GET", "/state-machine", READERS)
@routes.arguments(DiagramQuery(), location="query")
@routes.doc(responses={"200": {"description": "The table", "content": _FORMATS}})
def state_machine(query: Mapping[str, Any]) -> Response:
    """Give the transition table, as JSON, as a mermaid diagram or as a picture."""
    if query["format"] == "mermaid":
        return Response(diagram.as_mermaid(), content_type="text/plain; charset=utf-8")
    if query["format"] == "svg":
        return Response(diagram.as_svg(), content_type="image/svg+xml; charset=utf-8")
    return reply(diagram.as_dict())


@routes.call("GET", "/events", READERS, refuses=[503])
@routes.response(200, {"type": "string"}, content_type="text/event-stream")
def events() -> Response:
    """Stream changes of batches. A change may come twice: `version` tells."""
    if not _streams.acquire(blocking=False):
        raise Busy("Enough streams are open in this process.")
    since = _resume_at(request.headers.get("Last-Event-ID"))
    response = Response(stream_with_context(_stream(since)), content_type="text/event-stream")
    response.call_on_close(_streams.release)
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _resume_at(last_event_id: str | None) -> datetime:
    now = datetime.now(UTC)
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 18:
        # Looks back too: what was decided before that event may have been committed after it.
        return max(datetime.fromtimestamp(int(last_event_id) / 1e6, UTC), now - timedelta(hours=1)) - OVERLAP
    return now


def _stream(since: datetime) -> Iterator[bytes]:
    deadline, told = time.monotonic() + STREAM_SECONDS, set()
    queries, stopping = services().queries, services().queue.stopping
    yield b"retry: 1000\n\n"
    begun = since
    while time.monotonic() < deadline:
        found = False
        for row in queries.changes_since(max(since - OVERLAP, begun)):
            if (row.batch_id, row.version) not in told:
                told.add((row.batch_id, row.version))
                since, found = max(since, row.at), True
                yield _event(row)
        if not found:
            yield b": still here\n\n"
        if stopping.wait(POLL_SECONDS):
            return


def _event(row: Any) -> bytes:
    data = {
        "batch_id": row.batch_id,
        "name": row.name,
        "version": row.version,
        "trigger": row.trigger,
        "kind": row.kind,
        "from_state": row.from_state,
        "to_state": row.to_state,
        "actor": row.actor,
        "at": rfc3339(row.at),
    }
    ident = int(row.at.timestamp() * 1e6)
    return b"id: %d\nevent: change\ndata: %s\n\n" % (ident, orjson.dumps(data))
