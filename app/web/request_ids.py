"""The id of every request, in its log lines, its answer and the audit trail; and the headers that every answer has."""

import re
from uuid import uuid4

import structlog
from flask import Flask, Response, g, request

HEADER = "X-Request-Id"
# For a browser that is led to an answer of the API: it is no page, and stands in no other page.
POLICY = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def register(app: Flask) -> None:
    """Give every request an id, `g.request_id`: the caller's X-Request-Id if it is a plain word, else a new one."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get(HEADER, "")
        g.request_id = given if _PLAIN_WORD.fullmatch(given) else uuid4().hex
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers[HEADER] = g.get("request_id", "")
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", POLICY)  # pages have one of their own
        return response

    @app.teardown_request
    def end(_: BaseException | None) -> None:
        structlog.contextvars.clear_contextvars()
