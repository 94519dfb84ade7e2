"""Interlock: the service that decides what state a batch is in."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from config import Config


def import_edges() -> None:
    """Import all that `create_app` needs: processes that are forked afterwards share its memory."""
    from app import api, ui, v1, web  # noqa: F401


def create_app(config: "Config") -> "Flask":
    """Make the web application on the database of `config`; start no thread."""
    # Imported here: importing app.worker or app.services must not load Flask.
    from app import api, ui, v1, web
    from app.services import build
    from app.web import trusted_proxies
    from app.web.application import Application
    from app.web.services import EXTENSION

    app = Application(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    app.config["MAX_JSONL_BYTES"] = config.max_jsonl_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = config.max_body_bytes
    app.url_map.strict_slashes = False
    app.extensions[EXTENSION] = build(config)
    trusted_proxies.register(app, config.trusted_proxies)
    web.register(app)
    api.register(app)
    v1.register(app)
    ui.register(app, config.admin_token, config.port, config.currency)
    return app
