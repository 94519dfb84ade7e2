"""The pages for operators, as HTML. They decide nothing and keep no state: they call the services and show answers."""

import hashlib
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, url_for

from app.ui import (
    actions,
    audit_trail,
    batch,
    batches,
    bulk,
    files,
    live,
    machine,
    new_batch,
    requests,
    results,
    sign_in,
    tasks,
    tokens,
    workers,
)
from app.ui.access import prepare_sessions, visitor
from app.ui.fragments import prepare_fragments
from app.ui.problems import guard, show_unrouted

_STATIC = Path(__file__).parent / "static"
_YEAR_SECONDS = 365 * 24 * 3600
_PAGES = (
    actions, audit_trail, batch, batches, bulk, files, live, machine, new_batch, requests, results, sign_in, tasks,
    tokens, workers,
)  # fmt: skip

for each in _PAGES:
    guard(each.routes)


def register(app: Flask, admin_token: str | None, port: int) -> None:
    """Put the pages on an application; its sessions are valid on every server with the same admin token."""
    prepare_sessions(app, _session_key(admin_token), port)
    assets = Blueprint("ui", __name__, static_folder="static", static_url_path="/static", template_folder="templates")
    assets.app_url_defaults(_name_version)
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = _YEAR_SECONDS  # a changed file gets another address
    app.jinja_env.globals["asset"] = lambda name: url_for("ui.static", filename=name)
    app.context_processor(visitor)
    guard(assets)
    show_unrouted(app)
    prepare_fragments(app)
    app.register_blueprint(assets)
    for page in _PAGES:
        app.register_blueprint(page.routes)


@lru_cache(maxsize=8)
def _session_key(admin_token: str | None) -> bytes:
    """Derive the key that signs sessions: the same on every server with this token; another token ends all sessions.

    The derivation is slow (RFC 7914), because a person may have chosen the token: a cookie must not help to guess it.
    """
    if not admin_token:
        return secrets.token_bytes(32)
    return hashlib.scrypt(admin_token.encode(), salt=b"interlock sessions", n=2**13, r=8, p=1, dklen=32)


def _name_version(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "ui.static":
        values["v"] = _version(values["filename"])


@lru_cache(maxsize=256)
def _version(name: str) -> str:
    return hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:12]
