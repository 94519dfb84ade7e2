"""How long requests take: counted by method, endpoint and status, for Prometheus."""

import time
from functools import cache

from flask import Flask, Response, g
from flask.globals import request_ctx

from app.metrics import REQUESTS

_answered = cache(REQUESTS.labels)  # `labels` takes longer than to count


def register(app: Flask) -> None:
    """Measure every request of an application."""

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        if begun := g.get("begun"):
            request = request_ctx.request
            endpoint = request.endpoint
            # Where no route matched, the caller chose the method: it must not become a label.
            method = request.method if endpoint else "none"
            _answered(method, endpoint or "none", response.status_code).observe(time.perf_counter() - begun)
        return response
