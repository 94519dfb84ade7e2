"""Answers of the API: JSON, no body, and the ETag of a batch."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response


def reply(body: Any, status: int = 200, **headers: str) -> Response:
    """Answer JSON; `headers` are named with underscores for dashes."""
    response = Response(orjson.dumps(body), status=status, content_type="application/json")
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def nothing() -> Response:
    """Answer that it is done, with no body and so no type of one."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def etag(batch: Mapping[str, Any]) -> str:
    return f'"{batch["version"]}"'
