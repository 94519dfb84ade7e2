"""Who calls: the bearer token, which OpenAI's clients send as their API key, and its role."""

from collections.abc import Sequence
from http import HTTPStatus

import structlog
from flask import g, request

from app.domain.roles import Role
from app.services.access.tokens import Caller
from app.v1.errors import ApiError
from app.web.services import services

log = structlog.get_logger()


def require(roles: Sequence[Role]) -> None:
    """Look the caller up, and check the role. Raises ApiError."""
    secret = secret_of_caller()
    caller = services().tokens.caller(secret) if secret else None
    if caller is None:
        log.warning("sign_in_failed", path=request.path, remote=request.remote_addr)
        message = "Incorrect API key provided. Send a token of this service: Authorization: Bearer <token>."
        raise ApiError(HTTPStatus.UNAUTHORIZED, message, code="invalid_api_key")
    g.caller = caller
    if caller.role not in roles:
        log.warning("forbidden", path=request.path, actor=caller.name, role=caller.role, remote=request.remote_addr)
        raise ApiError(HTTPStatus.FORBIDDEN, f"The role {caller.role} may not do this.", code="forbidden")


def secret_of_caller() -> str:
    """Return the bearer token of the present request, or an empty text."""
    given = request.authorization
    return (given.token or "") if given is not None and given.type == "bearer" else ""


def current_caller() -> Caller:
    """Return the caller of the present request."""
    caller: Caller = g.caller
    return caller
