"""Error answers of the pages, as a page, as a sentence or as JSON; and the headers of every page."""

from typing import Any

import structlog
from flask import Blueprint, Flask, Response, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from app.errors import Refusal
from app.ui.query import is_fragment, wants_json

log = structlog.get_logger()

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SENTENCES = {
    401: "You are not signed in, or your session has ended. Sign in and try again.",
    404: "There is no such page.",
}


def guard(routes: Blueprint) -> None:
    """Give a blueprint's answers the headers of a page, and answer its errors as pages."""
    routes.after_request(_add_headers)
    routes.register_error_handler(Refusal, _of_refusal)
    routes.register_error_handler(HTTPException, _of_http)
    routes.register_error_handler(Exception, _of_fault)


def show_unrouted(app: Flask) -> None:
    """Answer unknown addresses with a page for browsers; programs get the API's error answers."""

    @app.before_request
    def show() -> Response | None:
        error = request.routing_exception
        if error is None or request.path.startswith("/api/"):
            return None
        wanted = request.accept_mimetypes
        if wanted["text/html"] <= wanted["application/json"]:
            return None
        return _add_headers(_of_http(error))


def _add_headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _of_refusal(refusal: Refusal) -> Response:
    response = _problem(refusal.status, refusal.title, refusal.detail)
    if refusal.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


def _of_http(error: HTTPException) -> Response:
    if error.response is not None:
        return make_response(error.response)
    status = error.code or 500
    if isinstance(error, CSRFError):
        return _problem(status, "Not sent", "This form is too old, or comes from another site. Load the page again.")
    return _problem(status, error.name, _SENTENCES.get(status) or error.description or error.name)


def _of_fault(error: Exception) -> Response:
    log.exception("request_failed", path=request.path, error=repr(error))
    return _problem(500, "The service failed", "An unexpected error occurred. The log has it under this request's id.")


def _problem(status: int, title: str, detail: str) -> Response:
    facts: dict[str, Any] = {"status": status, "title": title, "detail": detail}
    if wants_json():
        return make_response({"message": detail, **facts}, status)
    if is_fragment():
        return Response(detail, status=status, content_type="text/plain; charset=utf-8")
    return make_response(render_template("problem.html", **facts), status)
