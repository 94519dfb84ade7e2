"""Reads bodies and queries. What is unknown is ignored; what is wrong is an error that names the parameter."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from flask import request

from app.domain.answer.json_text import writable_json
from app.domain.file.files import LEAST_LIFETIME_SECONDS, MOST_LIFETIME_SECONDS, Purpose
from app.domain.ids import plain_number
from app.v1.errors import ApiError, missing, wrong

Fields = Mapping[str, Any]
ANCHOR = "created_at"
MOST_BODY_BYTES = 1024 * 1024  # as JSON, a body takes several times as much memory


def body() -> Fields:
    """Read a JSON object from the body; an empty body is an empty object.

    Raises ApiError, Invalid, RequestEntityTooLarge.
    """
    request.max_content_length = MOST_BODY_BYTES
    data = request.get_data()
    if not data.strip():
        return {}
    try:
        found = writable_json(data)
    except orjson.JSONDecodeError as error:
        message = f"We could not parse the JSON body of your request: {error}."
        raise ApiError(HTTPStatus.BAD_REQUEST, message) from error
    if not isinstance(found, dict):
        raise ApiError(HTTPStatus.BAD_REQUEST, "The body of the request has to be a JSON object.")
    return found


def text(fields: Fields, name: str, longest: int) -> str:
    """Read a text that is required. Raises ApiError."""
    value = fields.get(name)
    if value is None:
        raise missing(name)
    if not isinstance(value, str):
        raise wrong(name, f"Invalid type for '{name}': expected a string.", "invalid_type")
    if not 0 < len(value) <= longest or "\0" in value:
        raise wrong(name, f"Invalid '{name}': it has to have 1 to {longest} characters.")
    return value


def whole(fields: Fields, name: str, least: int, most: int, default: int | None = None) -> int:
    """Read a whole number, given as a number or in digits. Raises ApiError."""
    value = fields.get(name)
    if value is None:
        if default is None:
            raise missing(name)
        return default
    number = plain_number(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise wrong(name, f"Invalid type for '{name}': expected an integer.", "invalid_type")
    if not least <= number <= most:
        raise wrong(name, f"Invalid '{name}': it has to be {least} to {most}.")
    return number


def purpose(fields: Fields) -> Purpose:
    """Read what a file is for; only the input of a batch can be sent. Raises ApiError."""
    value = text(fields, "purpose", 100)
    if value != Purpose.BATCH:
        raise wrong("purpose", f"Invalid value for 'purpose': {value!r}. Files here have the purpose 'batch'.")
    return Purpose.BATCH


def lifetime(value: Any, name: str) -> int | None:
    """Read how long a file is kept: an object with `anchor` and `seconds`, or None. Raises ApiError."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise wrong(name, f"Invalid type for '{name}': expected an object.", "invalid_type")
    if value.get("anchor") != ANCHOR:
        raise wrong(f"{name}.anchor", f"Invalid value for '{name}.anchor': it has to be '{ANCHOR}'.")
    inner = {f"{name}.seconds": value.get("seconds")}
    return whole(inner, f"{name}.seconds", LEAST_LIFETIME_SECONDS, MOST_LIFETIME_SECONDS)
