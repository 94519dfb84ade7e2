"""The pages for operators, as HTML. They decide nothing and keep no state: they call the services and show answers."""

import hashlib
import secrets
from functools import lru_cache

from flask import Blueprint, Flask, request

from app.ui import activity, live, machine, requests, search, sign_in, static_files, tokens, webhooks, workers
from app.ui.access import prepare_sessions, visitor
from app.ui.batch import actions, audit_trail, files, input, overview, tasks
from app.ui.batches import bulk
from app.ui.batches import list as batches
from app.ui.filters import CURRENCY
from app.ui.fragments import prepare_fragments
from app.ui.frame import prepare_frame
from app.ui.new_batch import page as new_batch
from app.ui.problems import guard, show_unrouted
from app.ui.results import pages as results

_PAGES = (
    actions, activity, audit_trail, batches, bulk, files, input, live, machine, new_batch, overview, requests, results,
    search, sign_in, tasks, tokens, webhooks, workers,
)  # fmt: skip

for each in _PAGES:
    guard(each.routes)


def register(app: Flask, admin_token: str | None, port: int, currency: str) -> None:
    """Put the pages on an application; its sessions are valid on every server with the same admin token."""
    app.config[CURRENCY] = currency
    prepare_sessions(app, _session_key(admin_token), port)
    assets = Blueprint("ui", __name__, template_folder="templates")
    static_files.register(assets)
    app.jinja_env.globals["asset"] = static_files.asset
    app.jinja_env.globals["root"] = lambda: request.script_root
    app.context_processor(visitor)
    guard(assets)
    show_unrouted(app)
    prepare_fragments(app)
    prepare_frame(app)
    app.register_blueprint(assets)
    for each in _PAGES:
        app.register_blueprint(each.routes)


@lru_cache(maxsize=8)
def _session_key(admin_token: str | None) -> bytes:
    """Derive the key that signs sessions: the same on every server with this token; another token ends all sessions.

    The derivation is slow (RFC 7914), because a person may have chosen the token: a cookie must not help to guess it.
    """
    if not admin_token:
        return secrets.token_bytes(32)
    return hashlib.scrypt(admin_token.encode(), salt=b"interlock sessions", n=2**13, r=8, p=1, dklen=32)
