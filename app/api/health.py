"""Liveness, readiness and metrics, for machines. They need no token."""

from flask import Blueprint, Response

from app.api.replies import reply
from app.errors import Refusal
from app.metrics import exposition
from app.web.services import services

routes = Blueprint("health", __name__)


@routes.get("/healthz")
def healthz() -> Response:
    """Answer that the process is alive."""
    return reply({"status": "ok"})


@routes.get("/readyz")
def readyz() -> Response:
    """Answer 200 if the database answers and has every migration of this code; else 503 with the reason."""
    try:
        missing = services().readiness.missing()
    except Refusal as refusal:
        missing = refusal.detail
    return reply({"status": "not ready", "reason": missing}, 503) if missing else reply({"status": "ready"})


@routes.get("/metrics")
def metrics() -> Response:
    """Answer counts and timings in the format of Prometheus."""
    body, content_type = exposition(services().gauges.families)
    return Response(body, content_type=content_type)
