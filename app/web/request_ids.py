"""The id of every request, in its log lines, its answer and the audit trail; and the headers that every answer has."""

import os
import re

import structlog
from flask import Flask, Response, g, request

HEADER = "X-Request-Id"
_IN_ENVIRON = "HTTP_X_REQUEST_ID"
# For a browser that is led to an answer of the API: it is no page, and stands in no other page.
POLICY = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
_UNLESS_SET = {  # by their names in lower case
    "cache-control": ("Cache-Control", "no-store"),
    "content-security-policy": ("Content-Security-Policy", POLICY),  # pages have one of their own
}
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def register(app: Flask) -> None:
    """Give every request an id, `g.request_id`: the caller's X-Request-Id if it is a plain word, else a new one."""

    @app.before_request
    def begin() -> None:
        given = request.environ.get(_IN_ENVIRON, "")
        g.request_id = request_id = given if _PLAIN_WORD.fullmatch(given) else os.urandom(16).hex()
        structlog.contextvars.bind_contextvars(request_id=request_id)

    @app.after_request
    def finish(response: Response) -> Response:
        headers = response.headers
        are_set = {name.lower() for name, _ in headers}  # one look at all of them: each `set` would look, too
        headers.add(HEADER, g.get("request_id", ""))
        headers.add("X-Content-Type-Options", "nosniff")
        for key, (name, value) in _UNLESS_SET.items():
            if key not in are_set:
                headers.add(name, value)
        return response

    @app.teardown_request
    def end(_: BaseException | None) -> None:
        structlog.contextvars.clear_contextvars()
