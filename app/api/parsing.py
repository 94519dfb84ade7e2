"""Reads JSON bodies, queries and headers, and checks them against schemas. A refusal names each wrong field."""

import re
from typing import Any, Literal, NoReturn

import marshmallow as ma
import orjson
from flask import Request, request
from webargs.flaskparser import FlaskParser

from app.domain.answer.json_text import writable_json
from app.errors import Invalid, NotJson, UnsupportedMediaType
from app.web.content_encoding import refuse_compressed
from app.web.large_bodies import stated_bytes

Unknown = Literal["exclude", "include", "raise"]
_ETAG = re.compile(r'"(\d{1,9})"')


class Parser(FlaskParser):
    """Reads queries, and refuses unknown fields in them."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE}  # noqa: RUF012

    def handle_error(self, error: ma.ValidationError, *_: Any, **__: Any) -> NoReturn:
        (within,) = error.messages_dict.values()  # by location, of which there is one
        raise invalid(ma.ValidationError(within))


def json_body(req: Request) -> Any:
    """Read a JSON body. Raises UnsupportedMediaType, TooLarge, NotJson, Invalid."""
    if req.environ.get("CONTENT_TYPE") != "application/json" and not req.is_json:
        raise UnsupportedMediaType(f"Send application/json, not {req.mimetype or 'a body without a Content-Type'}.")
    refuse_compressed()
    body = _bytes_of(req)
    try:
        return writable_json(body)
    except orjson.JSONDecodeError as error:
        raise NotJson(f"The body is not JSON: {error}.") from error


def _bytes_of(req: Request) -> bytes:
    """Read the body. Raises RequestEntityTooLarge."""
    length, most = stated_bytes(req.environ), req.max_content_length or 0
    if 0 < length <= most and "stream" not in vars(req):
        whole: bytes = req.environ["wsgi.input"].read(length)  # nobody has read it, and no stream has to count it
        return whole
    body = req.get_data()
    req.stream.read(1)  # a body without a Content-Length was cut at the limit silently: this raises 413
    return body


def load(schema: ma.Schema, data: Any, unknown: Unknown | None = None) -> Any:
    """Check data against a schema, and return what it loads; `unknown` replaces its rule. Raises Invalid."""
    try:
        return schema.load(data, unknown=unknown)
    except ma.ValidationError as error:
        raise invalid(error) from error


def invalid(error: ma.ValidationError) -> Invalid:
    """Make the refusal that names each wrong field."""
    errors: Any = error.normalized_messages()  # type: ignore[no-untyped-call]
    fields = sorted(_paths(errors))
    return Invalid(f"Not valid: {'; '.join(fields[:5])}{' ...' if len(fields) > 5 else ''}", errors=errors)


def _paths(errors: Any, path: str = "") -> list[str]:
    if isinstance(errors, dict):
        return [line for key, value in errors.items() for line in _paths(value, f"{path}.{key}" if path else str(key))]
    return [f"{path}: {' '.join(map(str, errors))}" if isinstance(errors, list) else f"{path}: {errors}"]


def if_match() -> int | None:
    """Read the version in the If-Match header; None without the header or for `*`. Raises Invalid."""
    header = request.environ.get("HTTP_IF_MATCH")
    if header is None or header.strip() == "*":
        return None
    found = _ETAG.fullmatch(header.strip())
    if found is None:
        message = 'has to be "<version>" in double quotes, as the ETag of a GET, or *'
        raise Invalid(f"If-Match {message}.", errors={"If-Match": [message]})
    return int(found[1])
