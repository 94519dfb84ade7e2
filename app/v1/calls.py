"""Declares calls: method, path, and the roles that may make them; and makes their answers."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import orjson
from flask import Blueprint, Response

from app.domain.roles import Role
from app.v1.access import require

View = Callable[..., Response]


def call(routes: Blueprint, method: str, rule: str, roles: Sequence[Role]) -> Callable[[View], View]:
    """Declare a call for these roles."""

    def declare(view: View) -> View:
        @wraps(view)
        def guarded(**arguments: Any) -> Response:
            require(roles)
            return view(**arguments)

        routes.add_url_rule(rule, view.__name__, guarded, methods=[method])
        return guarded

    return declare


def answer(body: Any) -> Response:
    """Answer 200 with JSON, as every success does, creations too."""
    return Response(orjson.dumps(body), content_type="application/json")
