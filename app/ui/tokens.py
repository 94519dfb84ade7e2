"""The page of tokens, for admins: create (the secret is shown once), list, revoke."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from app.domain.roles import ADMINS, Role
from app.errors import Invalid
from app.ui.access import page
from app.ui.query import cursor
from app.web.services import services

routes = Blueprint("ui_tokens", __name__)

PAGE_ROWS = 50
MAX_NAME = 100


@page(routes, "GET", "/tokens", roles=ADMINS)
def index() -> str:
    """List the tokens that are not revoked."""
    return _index()


@page(routes, "POST", "/tokens", roles=ADMINS)
def make() -> Any:
    """Create a token, and show its secret this one time."""
    try:
        made = services().tokens.create(_name(), _role(), _expires_at())
    except Invalid as refusal:
        return _index(refusal=refusal.detail), 422
    return _index(made=made)


@page(routes, "POST", "/tokens/<ident:token_id>/revoke", roles=ADMINS)
def revoke(token_id: int) -> Any:
    """Revoke a token: within a second, every process refuses it."""
    services().tokens.revoke(token_id)
    return redirect(url_for("ui_tokens.index"), 303)


def _index(**outcome: Any) -> str:
    rows = services().tokens.list(PAGE_ROWS + 1, cursor("after") or 0)
    further = rows[PAGE_ROWS - 1]["id"] if len(rows) > PAGE_ROWS else None
    return render_template("tokens.html", rows=rows[:PAGE_ROWS], further=further, roles=list(Role), **outcome)


def _name() -> str:
    name = request.form.get("name", "").strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise Invalid(f"A token needs a name of 1 to {MAX_NAME} characters: it is the actor of the audit trail.")
    return name


def _role() -> Role:
    try:
        return Role(request.form.get("role", ""))
    except ValueError:
        raise Invalid(f"Choose a role: {', '.join(Role)}.") from None


def _expires_at() -> datetime | None:
    given = request.form.get("expires_at", "")
    try:
        return datetime.fromisoformat(given).replace(tzinfo=UTC) if given else None
    except ValueError:
        raise Invalid("expires_at has to be a date and time.") from None
