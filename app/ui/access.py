"""Who is signed in, and who may see a page. A cookie has only the secret of a session, which every request looks up."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import structlog
from flask import Blueprint, Flask, Request, Response, abort, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect

from app.domain.roles import ADMINS, OPERATORS, READERS, Role
from app.services.access.sessions import LASTS
from app.services.access.tokens import Caller
from app.services.batch.orders import Order
from app.ui.bodies import judge_body
from app.ui.query import check_query, is_fragment
from app.web.services import services

_SECRET = "session"  # noqa: S105 - the name of a field
_csrf = CSRFProtect()
log = structlog.get_logger()
View = Callable[..., Any]


class _Sessions(SecureCookieSessionInterface):
    _serializer: Any = None

    def get_signing_serializer(self, app: Flask) -> Any:
        # Flask makes it anew for each request. The key is set once: see prepare_sessions.
        if self._serializer is None:
            self._serializer = super().get_signing_serializer(app)
        return self._serializer

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        # The API uses no cookies: it reads none and sets none.
        return None if request.path.startswith("/api/") else super().open_session(app, request)

    def get_cookie_path(self, app: Flask) -> str:
        return request.script_root or "/"  # another service of the same host does not get the cookie

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
        PERMANENT_SESSION_LIFETIME=LASTS,
        SESSION_REFRESH_EACH_REQUEST=False,  # a session ends LASTS after the sign-in, whatever is requested meanwhile
        WTF_CSRF_CHECK_DEFAULT=False,  # only pages check it: the API uses no cookies
        WTF_CSRF_TIME_LIMIT=None,  # valid as long as the session
    )
    _csrf.init_app(app)


def signed_in() -> Caller | None:
    """Return who is signed in; None without a session, or if its token was revoked or has expired."""
    if "visitor" not in g:
        g.visitor = None  # if the database fails, the error page must not query it again
        secret = session.get(_SECRET)
        g.visitor = None if secret is None else services().sessions.holder(secret)
    found: Caller | None = g.visitor
    return found


def begin_session(caller: Caller) -> None:
    """Sign a caller in. An earlier session of the same browser ends, and so does a copy of its cookie."""
    end_session()
    session.permanent = True
    session[_SECRET] = services().sessions.begin(caller)


def end_session() -> None:
    """Sign out. A copy of the cookie ends too."""
    if secret := session.get(_SECRET):
        services().sessions.end(secret)
    session.clear()


def session_is_valid() -> Callable[[], bool]:
    """Return a function that looks at the present session again, for answers that take long."""
    sessions, secret = services().sessions, session[_SECRET]
    return lambda: sessions.holder(secret) is not None


def session_id() -> str:
    """Name the present session, for what is kept for it in this process."""
    secret: str = session[_SECRET]
    return secret


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


def page(
    routes: Blueprint, method: str, rule: str, roles: Sequence[Role] | None = READERS, is_upload: bool = False
) -> Callable[[View], View]:
    """Declare a view of a page for visitors with one of `roles` (None: no sign-in needed).

    The body of a POST is a form that is judged before it is parsed; or an `is_upload`, a file or JSON of our scripts.
    """

    def declare(view: View) -> View:
        @wraps(view)
        def guarded(**values: Any) -> Any:
            if roles is not None and (refused := _turned_away(roles)):
                return refused
            check_query()
            if method != "GET":
                judge_body(_csrf, is_signed_in=roles is not None, is_upload=is_upload)
            return view(**values)

        routes.add_url_rule(rule, view_func=guarded, methods=[method])
        return guarded

    return declare


def _turned_away(roles: Sequence[Role]) -> Response | None:
    caller = signed_in()
    if caller is None:
        wants_page = not request.accept_mimetypes or request.accept_mimetypes.accept_html
        if request.method != "GET" or is_fragment() or not wants_page:
            abort(401)  # a script cannot follow to a form
        there = request.full_path.rstrip("?")
        return redirect(url_for("ui_sign_in.form", next=there), 303)  # type: ignore[return-value]
    if caller.role not in roles:
        log.warning("forbidden", path=request.path, actor=caller.name, role=caller.role, remote=request.remote_addr)
        abort(403, f"The role {caller.role} may not do this.")
    return None
