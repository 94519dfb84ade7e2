"""Declares routes: method, path, the roles that may call it, and the error codes that it may answer.

The check of the token, Idempotency-Key on every POST and the operation in the OpenAPI document follow from it.
"""

from collections.abc import Callable, Sequence
from functools import partial, wraps
from http import HTTPStatus
from typing import Any, TypeVar

import flask_smorest
import marshmallow as ma
from flask import Response
from flask.globals import request_ctx
from werkzeug.routing import Map, UnicodeConverter

from app.api.access import authenticate
from app.api.idempotency import KEY, once
from app.api.parsing import Parser, json_body, load
from app.api.replies import reply
from app.domain.roles import Role

View = TypeVar("View", bound=Callable[..., Any])
BATCH = "/batches/<ident:batch_id>"
_BODY_REFUSALS = (400, 413, 415, 422)
_CALLS_BESIDE_TASKS = ("lease", "heartbeat", "release", "report")  # /api/tasks/<call>
_KEY_PARAMETER = {
    "in": "header",
    "name": KEY,
    # what `str.isprintable` accepts of the Latin-1 text of a header: no control characters, no NBSP, no soft hyphen
    "schema": {"type": "string", "maxLength": 255, "pattern": r"^[^\u0000-\u001f\u007f-\u00a0\u00ad]+$"},
    "description": "A repeated call with the same key, token and body gets the first answer again, for 24 h.",
}
_IF_MATCH_PARAMETER = {
    "in": "header",
    "name": "If-Match",
    "schema": {"type": "string", "pattern": r'^(\*|"[0-9]{1,9}")$'},
    "description": "The ETag that you saw, or *: if the batch has another version by now, the answer is 412.",
}


class TaskId(UnicodeConverter):
    """A task's id in a path: any word but the names of the calls that have no task in their path.

    Without the exception, /api/tasks/lease would have a GET: the task named "lease".
    """

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, maxlength=64)
        self.regex = rf"(?!(?:{'|'.join(_CALLS_BESIDE_TASKS)})\Z){self.regex}"


class Routes(flask_smorest.Blueprint):  # type: ignore[misc]
    """A blueprint whose routes name the roles that may call them."""

    ARGUMENTS_PARSER = Parser()

    def call(
        self, method: str, rule: str, roles: Sequence[Role] | None, refuses: Sequence[int] = (), body: bool = False
    ) -> Callable[[View], Callable[..., Response]]:
        """Declare a route for `roles` (None: no token needed); `refuses` lists further error codes of contract 5."""
        codes = {*refuses, *(_BODY_REFUSALS if body else ()), 422, *((401, 403, 503) if roles else ())}
        if method == "POST":
            codes.add(409)  # an Idempotency-Key whose first request is still being decided

        def declare(view: View) -> Callable[..., Response]:
            more: dict[str, Any] = {
                "security": [{"token": []}] if roles else [],
                "responses": {str(code): HTTPStatus(code).name for code in sorted(codes)},
            }
            # A list in `doc` replaces the lists of the other decorators: repeat theirs.
            documented = getattr(view, "_apidoc", {})
            queries = [each for each in documented.get("arguments", {}).get("parameters", ()) if each["in"] == "query"]
            more["parameters"] = [
                *documented.get("manual_doc", {}).get("parameters", ()),
                *queries,
                *([_KEY_PARAMETER] if method == "POST" and roles else []),
                *([_IF_MATCH_PARAMETER] if 412 in codes else []),
            ]
            declared: Callable[..., Response] = self.route(rule, methods=[method])(
                _documented(_guard(view, method, roles), self.doc(**more))
            )
            return declared

        return declare

    def response(self, *arguments: Any, **more: Any) -> Callable[[View], View]:
        """Document an answer."""
        return partial(_documented, by=super().response(*arguments, **more))

    def alt_response(self, *arguments: Any, **more: Any) -> Callable[[View], View]:
        """Document another answer."""
        return partial(_documented, by=super().alt_response(*arguments, **more))

    def arguments(self, schema: ma.Schema, *, location: str = "json", **more: Any) -> Callable[[View], Any]:
        """Give a view the checked body, or the checked query, as its first argument; unknown fields are refused."""
        declare_and_parse = super().arguments(schema, location=location, **more)

        def declare(view: View) -> Callable[..., Any]:
            @wraps(view)
            def with_body(**arguments: Any) -> Any:
                return view(load(schema, json_body(request_ctx.request), ma.RAISE), **arguments)

            return _documented(with_body, declare_and_parse) if location == "json" else declare_and_parse(view)

        return declare


def _documented(view: View, by: Callable[[View], Any]) -> View:
    """Give a view what a decorator documents, without its wrapper: a view makes its answer by itself."""
    documented: Any = view
    documented._apidoc = by(view)._apidoc
    return view


def _guard(view: Callable[..., Any], method: str, roles: Sequence[Role] | None) -> Callable[..., Any]:
    if roles is None:
        return view

    @wraps(view)
    def guarded(**arguments: Any) -> Any:
        authenticate(roles)
        return once(partial(view, **arguments)) if method == "POST" else view(**arguments)

    return guarded


def page(noun: str, rows: Sequence[Any], next_cursor: Any) -> Response:
    """Answer a page of a list under its noun; `next_cursor` is None on the last page."""
    return reply({noun: rows, "next_cursor": None if next_cursor is None else str(next_cursor)})
