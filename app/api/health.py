"""Whether the service lives, whether it is ready, and what it counts. For machines; without a token."""

from flask import Blueprint, Response

from app.api.replies import reply
from app.errors import Refusal
from app.metrics import exposition
from app.web.services import services

routes = Blueprint("health", __name__)


@routes.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return reply({"status": "ok"})


@routes.get("/readyz")
def readyz() -> Response:
    """The database answers and has every migration of this code; else 503 and why."""
    try:
        missing = services().readiness.missing()
    except Refusal as refusal:
        missing = refusal.detail
    return reply({"status": "not ready", "reason": missing}, 503) if missing else reply({"status": "ready"})


@routes.get("/metrics")
def metrics() -> Response:
    """Counts and timings for Prometheus."""
    body, content_type = exposition(services().queries.batches_by_state)
    return Response(body, content_type=content_type)
