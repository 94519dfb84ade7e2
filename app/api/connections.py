"""Connections: what workers report of their calls, the circuit of each, and the workers that make the calls."""

from collections.abc import Mapping
from typing import Any

from flask import Response

from app.api.idempotency import recorder
from app.api.replies import reply
from app.api.routes import Routes, page
from app.api.schemas.shown import ConnectionSchema, WorkerSchema, list_of
from app.api.schemas.taken import Page, WorkersQuery
from app.api.schemas.worker_calls import ConnectionsBody
from app.domain.connection.circuits import CallOutcome, ErrorClass
from app.domain.roles import READERS, WORKERS
from app.services.connection.circuits import CallReport
from app.web.services import services

routes = Routes("connections", __name__, url_prefix="/api", description="The servers that workers call")


def _reported(rows: list[dict[str, Any]]) -> Response:
    return reply({"connections": rows})


@routes.call("POST", "/connections", WORKERS, refuses=[503], body=True)
@routes.arguments(ConnectionsBody())
@routes.response(200, list_of("connections", ConnectionSchema, paged=False))
def report(body: Mapping[str, Any]) -> Response:
    """Report how calls over connections went; a failure closes the circuit for all workers."""
    reports = [_report(item) for item in body["connections"]]
    return _reported(services().outages.report(body["worker"], reports, recorder(_reported)))


def _report(item: Mapping[str, Any]) -> CallReport:
    error_class = ErrorClass(item["error_class"]) if item["error_class"] else None
    return CallReport(**{**item, "outcome": CallOutcome(item["outcome"]), "error_class": error_class})


@routes.call("GET", "/connections", READERS)
@routes.arguments(Page(), location="query")
@routes.response(200, list_of("connections", ConnectionSchema))
def index(query: Mapping[str, Any]) -> Response:
    """List the connections that present workers announced, that unfinished batches need, or that have a circuit."""
    return page("connections", *services().reads.connections.page(query["limit"], query["cursor"] or 0))


@routes.call("GET", "/workers", READERS)
@routes.arguments(WorkersQuery(), location="query")
@routes.response(200, list_of("workers", WorkerSchema, paged=False))
def workers(query: Mapping[str, Any]) -> Response:
    """List the workers last seen, newest first, at most 200; `name` is a part of the name."""
    return reply(services().reads.workers.seen(query["name"]))
