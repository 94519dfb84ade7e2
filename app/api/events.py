"""The state machine to read, the changes of all batches, and the feed of changes as server-sent events."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from flask import Response, request

from app.api.access import token_is_valid
from app.api.replies import reply
from app.api.routes import Routes, page
from app.api.schemas.shown import ActivitySchema, list_of
from app.api.schemas.taken import ActivityQuery, DiagramQuery
from app.domain.ids import plain_number
from app.domain.picture import diagram
from app.domain.roles import READERS
from app.domain.times import rfc3339
from app.domain.transitions import BatchState
from app.services.reads.audit import ActivityFilter, Place
from app.web.services import services
from app.web.streams import stream

routes = Routes("service", __name__, url_prefix="/api", description="The service itself")

POLL_SECONDS = 0.5
OVERLAP = timedelta(seconds=5)  # commits come in another order than their times: each look goes back that far
_MOST_DIGITS = 17  # of an event's id, which is a time in microseconds
_LAST_EVENT_ID = {
    "in": "header",
    "name": "Last-Event-ID",
    "schema": {"type": "string"},
    "description": "The `id` of the last event that was received: the stream goes on after it, up to an hour back.",
}
_FORMATS = {
    "application/json": {"schema": {"type": "object"}},
    "text/plain": {"schema": {"type": "string", "description": "A Mermaid diagram"}},
    "image/svg+xml": {"schema": {"type": "string"}},
}


@routes.call("GET", "/state-machine", READERS)
@routes.arguments(DiagramQuery(), location="query")
@routes.doc(responses={"200": {"description": "The table", "content": _FORMATS}})
def state_machine(query: Mapping[str, Any]) -> Response:
    """Show the transition table as JSON, as a Mermaid diagram or as a picture."""
    if query["format"] == "mermaid":
        return Response(diagram.as_mermaid(), content_type="text/plain; charset=utf-8")
    if query["format"] == "svg":
        return Response(diagram.as_svg(), content_type="image/svg+xml; charset=utf-8")
    return reply(diagram.as_dict())


@routes.call("GET", "/activity", READERS)
@routes.arguments(ActivityQuery(), location="query")
@routes.response(200, list_of("activity", ActivitySchema))
def activity(query: Mapping[str, Any]) -> Response:
    """List the changes of all batches, newest first; a page may be short, or empty, before the last one."""
    wanted = ActivityFilter(
        actor=query["actor"] or "",
        trigger=query["trigger"] or "",
        state=BatchState(query["state"]) if query["state"] else None,
        since=query["since"],
        until=query["until"],
    )
    before = Place.read(query["cursor"] or "")
    return page("activity", *services().reads.audit.activity(wanted, before, query["limit"]))


@routes.call("GET", "/events", READERS, refuses=[503])
@routes.doc(parameters=[_LAST_EVENT_ID])
@routes.response(200, {"type": "string"}, content_type="text/event-stream")
def events() -> Response:
    """Stream changes of batches. A change may come twice; `batch_id` and `version` identify it."""
    return stream(_Changes(_resume_at(request.headers.get("Last-Event-ID"))).new, POLL_SECONDS, token_is_valid())


def _resume_at(last_event_id: str | None) -> datetime:
    now = services().clock.read()  # changes have times of the same clock
    event_id = plain_number(last_event_id or "", _MOST_DIGITS)
    if event_id:
        # Go back here too: a change that was decided before that event may have been committed after it.
        return max(datetime.fromtimestamp(event_id / 1e6, UTC), now - timedelta(hours=1)) - OVERLAP
    return now


class _Changes:
    """The changes from a time on; each is sent once."""

    def __init__(self, since: datetime) -> None:
        self._begun = self._since = since
        self._sent: set[tuple[int, int]] = set()
        self._audit = services().reads.audit

    def new(self) -> Iterator[str]:
        for row in self._audit.feed(max(self._since - OVERLAP, self._begun)):
            if (row.batch_id, row.version) not in self._sent:
                self._sent.add((row.batch_id, row.version))
                self._since = max(self._since, row.at)
                yield _event(row)


def _event(row: Any) -> str:
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
    return f"id: {ident}\nevent: change\ndata: {orjson.dumps(data).decode()}\n\n"
