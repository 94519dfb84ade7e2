"""The JSON API: parses and authenticates requests, calls the services and renders their answers. It decides nothing."""

from flask import Flask

from app.api import (
    actions,
    batches,
    connections,
    documentation,
    events,
    health,
    run_report,
    search,
    tasks,
    tokens,
    webhooks,
)
from app.api.problems import answer_problems
from app.api.routes import TaskId


def register(app: Flask) -> None:
    """Put the API on an application."""
    app.url_map.converters["task"] = TaskId
    answer_problems(app)
    api = documentation.document(app)
    for module in (batches, run_report, actions, tasks, connections, tokens, webhooks, events, search):
        api.register_blueprint(module.routes)
    app.register_blueprint(documentation.routes)
    app.register_blueprint(health.routes)
