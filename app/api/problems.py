"""Error answers of the API, all of them `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.errors import Forbidden, Invalid, NotJson, Refusal, TooLarge, Unauthenticated, UnsupportedMediaType

PROBLEM_JSON = "application/problem+json"
log = structlog.get_logger()


def problem(status: int, code: str, title: str, detail: str, facts: Mapping[str, Any] | None = None) -> Response:
    """Make an error answer; `facts` are further members of its body."""
    body = {
        "type": f"urn:interlock:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.script_root + request.path,
        "code": code,
        **(facts or {}),
    }
    text = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)  # in `errors`, the index of a list's item is a key
    return Response(text, status=status, content_type=PROBLEM_JSON)


def problem_of(refusal: Refusal) -> Response:
    """Make the answer for a refusal."""
    response = problem(refusal.status, refusal.code, refusal.title, refusal.detail, refusal.facts)
    if refusal.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    if isinstance(refusal, Unauthenticated | Forbidden):
        response.headers["WWW-Authenticate"] = 'Bearer realm="interlock"'
    return response


# Errors that the framework raises have the codes of our refusals.
_KNOWN: dict[int, type[Refusal]] = {
    400: NotJson,
    401: Unauthenticated,
    403: Forbidden,
    413: TooLarge,
    415: UnsupportedMediaType,
    422: Invalid,
}


def problem_of_http(error: HTTPException) -> Response:
    """Make the answer for an error that Flask or Werkzeug raised."""
    status = error.code or 500
    known = _KNOWN.get(status)
    code = known.code if known else error.name.lower().replace(" ", "_")
    response = problem(status, code, error.name, error.description or error.name)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def problem_of_fault(error: Exception) -> Response:
    """Make the answer for an unexpected exception, and log it; the log has the request's id."""
    log.exception("request_failed", path=request.path, error=repr(error))
    detail = "An unexpected error occurred. The log has it under this answer's X-Request-Id."
    return problem(500, "internal_error", "The service failed", detail)


def answer_problems(app: Flask) -> None:
    """Answer every error of an application with this module, whatever the path."""
    app.register_error_handler(Refusal, problem_of)
    app.register_error_handler(HTTPException, problem_of_http)
    app.register_error_handler(Exception, problem_of_fault)
