"""Sign-in with a token or with a link that can be used once; sign-out."""

import re
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from app.domain.roles import Role
from app.services.access.tokens import Caller
from app.ui.access import begin_session, end_session, page, signed_in
from app.web.services import services

routes = Blueprint("ui_sign_in", __name__)

# Browsers drop control characters and read a backslash as a slash: both could hide the name of another host.
_OURS = re.compile(r"/(?!/)[^\s\\\x00-\x1f\x7f]*")
_WRONG = "This token is not valid. It may be mistyped, expired or revoked."
_USED = "This link was used before, or has expired. To get a new one, run: python -m app.cli sign-in-link"
_WORKERS_OWN = "This is a worker's token. It can lease and report tasks, but not open pages."


@page(routes, "GET", "/sign-in", roles=None)
def form() -> Any:
    """Show the form. A link's code needs a click as well, so that a program that opens links does not use it up."""
    if signed_in() and "code" not in request.args:
        return redirect(_next(request.args.get("next")), 303)
    return _form()


@page(routes, "POST", "/sign-in", roles=None)
def sign_in() -> Any:
    """Begin a session, or show why the token or link was refused."""
    caller, refusal = _caller()
    if caller is None:
        return _form(refusal), 401
    begin_session(caller)
    return redirect(_next(request.form.get("next")), 303)


@page(routes, "POST", "/sign-out", roles=None)
def sign_out() -> Any:
    """End the session."""
    end_session()
    return redirect(url_for("ui_sign_in.form"), 303)


def _caller() -> tuple[Caller | None, str]:
    if code := request.form.get("code"):
        return (services().tokens.admin() if services().sign_in_links.use(code) else None), _USED
    caller = services().tokens.caller(request.form.get("token", "").strip())
    if caller and caller.role is Role.WORKER:
        return None, _WORKERS_OWN
    return caller, _WRONG


def _form(refusal: str = "") -> str:
    code = "" if refusal else request.values.get("code", "")
    return render_template("sign_in.html", code=code, next=request.values.get("next", ""), refusal=refusal)


def _next(path: str | None) -> str:
    """Return the path if it is one of our pages, else the list of batches."""
    return path if path and _OURS.fullmatch(path) else url_for("ui_batches.index")
