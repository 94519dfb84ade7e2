"""Who is signed in, and who may see a page. A session has only the id of a token, which every request looks up."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import wraps
from typing import Any

from flask import Blueprint, Flask, Request, Response, abort, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import CSRFError, CSRFProtect, validate_csrf
from wtforms import ValidationError

from app.domain.roles import ADMINS, OPERATORS, READERS, Role
from app.services.access.tokens import Caller
from app.services.batch.orders import Order
from app.ui.query import is_fragment
from app.web.services import services

SESSION_HOURS = 12

_TOKEN_ID = "token_id"  # noqa: S105 - the name of a field
_csrf = CSRFProtect()
View = Callable[..., Any]


class _Sessions(SecureCookieSessionInterface):
    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        # The API uses no cookies: it reads none and sets none.
        return None if request.path.startswith("/api/") else super().open_session(app, request)

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure or request.headers.get("X-Forwarded-Proto") == "https"


def prepare_sessions(app: Flask, key: bytes, port: int) -> None:
    """Sign sessions with `key`. The port is in the cookie's name, because cookies of one host ignore ports."""
    app.secret_key = key
    app.session_interface = _Sessions()
    app.config.update(
        SESSION_COOKIE_NAME=f"interlock_{port}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=SESSION_HOURS),
        WTF_CSRF_CHECK_DEFAULT=False,  # only pages check it: the API uses no cookies
        WTF_CSRF_TIME_LIMIT=None,  # valid as long as the session
    )
    _csrf.init_app(app)


def signed_in() -> Caller | None:
    """Return who is signed in; None without a session, or if its token was revoked or has expired."""
    if "visitor" not in g:
        g.visitor = None  # if the database fails, the error page must not query it again
        token_id = session.get(_TOKEN_ID)
        g.visitor = None if token_id is None else services().tokens.holder(token_id)
    found: Caller | None = g.visitor
    return found


def begin_session(caller: Caller) -> None:
    """Sign a caller in."""
    session.clear()  # remove the values of an earlier visitor
    session.permanent = True
    session[_TOKEN_ID] = caller.token_id


def end_session() -> None:
    """Sign out."""
    session.clear()


def may_operate() -> bool:
    """Whether the present visitor may request actions."""
    caller = signed_in()
    return caller is not None and caller.role in OPERATORS


def visitor() -> dict[str, Any]:
    """Give every template its visitor, and what the visitor may do."""
    caller = signed_in() if request.blueprint else None
    role = caller.role if caller else None
    return {"visitor": caller, "may_operate": role in OPERATORS, "may_manage": role in ADMINS}


def order(**more: Any) -> Order:
    """Make the order of the present request: its visitor, its id, and `more` fields of an Order."""
    caller = signed_in()
    assert caller is not None, "a page's view runs for a visitor who is signed in"  # noqa: S101
    return Order(actor=caller.name, role=caller.role, request_id=g.request_id, **more)


def page(routes: Blueprint, method: str, rule: str, roles: Sequence[Role] | None = READERS) -> Callable[[View], View]:
    """Declare a view of a page for visitors with one of `roles` (None: no sign-in needed); refuse forged forms."""

    def declare(view: View) -> View:
        @wraps(view)
        def guarded(**values: Any) -> Any:
            if roles is not None and (refused := _turned_away(roles)):
                return refused
            if method != "GET":
                _refuse_forged()
            return view(**values)

        routes.add_url_rule(rule, view_func=guarded, methods=[method])
        return guarded

    return declare


def _refuse_forged() -> None:
    """Raise CSRFError for a form from another site. A script sends its proof as a header: its body may be long."""
    token = request.headers.get("X-CSRFToken")
    try:
        if token:
            validate_csrf(token)
        else:
            _csrf.protect()
    except ValidationError as error:
        raise CSRFError(str(error)) from error


def _turned_away(roles: Sequence[Role]) -> Response | None:
    caller = signed_in()
    if caller is None:
        wants_page = not request.accept_mimetypes or request.accept_mimetypes.accept_html
        if request.method != "GET" or is_fragment() or not wants_page:
            abort(401)  # a script cannot follow to a form
        there = request.full_path.rstrip("?")
        return redirect(url_for("ui_sign_in.form", next=there), 303)  # type: ignore[return-value]
    if caller.role not in roles:
        abort(403, f"The role {caller.role} may not do this.")
    return None
