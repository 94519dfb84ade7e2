"""Who calls: bearer tokens, the roles that may call a route, and the id of the request."""

import re
from typing import Any
from uuid import uuid4

import structlog
from flask import Flask, Response, g, request
from flask_httpauth import HTTPTokenAuth

from app.api.problems import problem_of
from app.errors import Forbidden, Unauthenticated
from app.services.access.tokens import Caller
from app.services.batch.orders import Order, Record
from app.web.services import services

log = structlog.get_logger()
auth = HTTPTokenAuth("Bearer")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@auth.verify_token
def _caller(token: str) -> Caller | None:
    caller = g.caller = services().tokens.caller(token) if token else None
    if token and caller is None:
        log.warning("sign_in_failed", path=request.path, remote=request.remote_addr)
    return caller


@auth.get_user_roles
def _roles(caller: Caller) -> list[str]:
    return [caller.role]


@auth.error_handler
def _refuse(status: int) -> Response:
    if status == Forbidden.status:
        return problem_of(Forbidden(f"The role {g.caller.role} may not do this."))
    return problem_of(Unauthenticated("Send a valid token: Authorization: Bearer <token>."))


def current_caller() -> Caller:
    """The caller of the present request."""
    caller: Caller = g.caller
    return caller


def order(record: Record | None = None, **more: Any) -> Order:
    """Make the order of the present request."""
    caller = current_caller()
    return Order(actor=caller.name, role=caller.role, request_id=g.request_id, record=record, **more)


def name_requests(app: Flask) -> None:
    """Give every request an id: the caller's X-Request-Id if it is a plain word, else a new one."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.get("request_id", "")
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.teardown_request
    def end(_: BaseException | None) -> None:
        structlog.contextvars.clear_contextvars()
