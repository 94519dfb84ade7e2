"""The JSON edge: parses and authenticates, asks the services, renders their answers. It holds no rule."""

import time

from flask import Flask, Response, g, request

from app.api import actions, batches, documentation, events, health, run_report, tasks, tokens
from app.api.access import name_requests
from app.api.json_lines import close_spool
from app.api.problems import answer_problems
from app.api.routes import Ident
from app.metrics import REQUESTS


def register(app: Flask) -> None:
    """Put the API on an application."""
    app.url_map.converters["ident"] = Ident
    name_requests(app)
    app.teardown_request(close_spool)
    _time_requests(app)
    answer_problems(app)
    api = documentation.document(app)
    for routes in (batches.routes, run_report.routes, actions.routes, tasks.routes, tokens.routes, events.routes):
        api.register_blueprint(routes)
    app.register_blueprint(documentation.routes)
    app.register_blueprint(health.routes)


def _time_requests(app: Flask) -> None:
    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        if begun := g.get("begun"):
            # A method that no route has is the caller's own word: it must not become a label.
            labels = (
                request.method if request.endpoint else "none",
                request.endpoint or "none",
                str(response.status_code),
            )
            REQUESTS.labels(*labels).observe(time.perf_counter() - begun)
        return response
