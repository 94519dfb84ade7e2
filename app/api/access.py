"""Who calls the API: bearer tokens, the caller's role, and the order that is made of the request."""

from collections.abc import Callable
from typing import Any

import structlog
from flask import Response, g, request
from flask_httpauth import HTTPTokenAuth

from app.api.problems import REALM, problem_of
from app.errors import Forbidden, Unauthenticated
from app.services.access.tokens import Caller
from app.services.batch.orders import Order, Record
from app.web.services import services

log = structlog.get_logger()
auth = HTTPTokenAuth("Bearer", REALM)


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
        caller = current_caller()
        log.warning("forbidden", path=request.path, actor=caller.name, role=caller.role, remote=request.remote_addr)
        return problem_of(Forbidden(f"The role {g.caller.role} may not do this."))
    return problem_of(Unauthenticated("Send a valid token: Authorization: Bearer <token>."))


def current_caller() -> Caller:
    """Return the caller of the present request."""
    caller: Caller = g.caller
    return caller


def token_is_valid() -> Callable[[], bool]:
    """Return a function that looks at the token of the present request again, for answers that take long."""
    tokens, token = services().tokens, auth.get_auth().token
    return lambda: tokens.caller(token) is not None


def order(record: Record | None = None, **more: Any) -> Order:
    """Make the order of the present request: its caller, its id, and `more` fields of an Order."""
    caller = current_caller()
    return Order(actor=caller.name, role=caller.role, request_id=g.request_id, record=record, **more)
