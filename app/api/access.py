"""Who calls the API: bearer tokens, the caller's role, and the order that is made of the request."""

from collections.abc import Callable, Collection
from typing import Any

import structlog
from flask import g, request

from app.domain.roles import Role
from app.errors import Forbidden, Unauthenticated
from app.services.access.tokens import Caller
from app.services.batch.orders import Order, Record
from app.web.services import services

log = structlog.get_logger()


def bearer_token() -> str:
    """Return the token of the present request; empty without one."""
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip(" \t") if scheme.lower() == "bearer" else ""


def authenticate(roles: Collection[Role]) -> None:
    """Find the caller of the present request, who has to have one of `roles`. Raises Unauthenticated, Forbidden."""
    token = bearer_token()
    g.caller = caller = services().tokens.caller(token) if token else None
    if caller is None:
        if token:
            log.warning("sign_in_failed", path=request.path, remote=request.remote_addr)
        raise Unauthenticated("Send a valid token: Authorization: Bearer <token>.")
    if caller.role not in roles:
        log.warning("forbidden", path=request.path, actor=caller.name, role=caller.role, remote=request.remote_addr)
        raise Forbidden(f"The role {caller.role} may not do this.")


def current_caller() -> Caller:
    """Return the caller of the present request."""
    caller: Caller = g.caller
    return caller


def token_is_valid() -> Callable[[], bool]:
    """Return a function that looks at the token of the present request again, for answers that take long."""
    tokens, token = services().tokens, bearer_token()
    return lambda: tokens.caller(token) is not None


def order(record: Record | None = None, **more: Any) -> Order:
    """Make the order of the present request: its caller, its id, and `more` fields of an Order."""
    caller = current_caller()
    return Order(actor=caller.name, role=caller.role, request_id=g.request_id, record=record, **more)
