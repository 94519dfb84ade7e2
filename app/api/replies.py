"""Builds the API's answers: JSON, an empty body, and the ETag of a batch."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response
from werkzeug.datastructures import Headers


class Reply(Response):
    """A whole answer in JSON. All its headers are set: WSGI gets them as they are, without a corrected copy."""

    def get_wsgi_headers(self, environ: Any) -> Headers:
        return self.headers


def reply(body: Any, status: int = 200, **headers: str) -> Response:
    """Make an answer with a JSON body; `headers` are named with underscores in place of dashes."""
    response = Reply(orjson.dumps(body), status=status, content_type="application/json")
    for name, value in headers.items():
        response.headers.add(name.replace("_", "-"), value)
    return response


def nothing() -> Response:
    """Make the answer 204: no body, and so no Content-Type."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def etag(batch: Mapping[str, Any]) -> str:
    """Write a batch's version as an ETag."""
    return f'"{batch["version"]}"'
