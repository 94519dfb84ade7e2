"""The JSON API: parses and authenticates requests, calls the services and renders their answers. It decides nothing."""

from flask import Flask

from app.api import actions, batches, documentation, events, health, run_report, tasks, tokens
from app.api.problems import answer_problems
from app.api.routes import TaskId


def register(app: Flask) -> None:
    """Put the API on an application."""
    app.url_map.converters["task"] = TaskId
    answer_problems(app)
    api = documentation.document(app)
    for routes in (batches.routes, run_report.routes, actions.routes, tasks.routes, tokens.routes, events.routes):
        api.register_blueprint(routes)
    app.register_blueprint(documentation.routes)
    app.register_blueprint(health.routes)
