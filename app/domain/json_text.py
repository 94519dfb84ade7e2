"""JSON as it comes from outside: read only if it can be written again, within an answer."""

from typing import Any

import orjson

from app.errors import Invalid


def writable_json(text: bytes) -> Any:
    """Read JSON that can be written again, within an answer. Raises orjson.JSONDecodeError, Invalid."""
    data = orjson.loads(text)
    try:
        orjson.dumps([[[[[[[[data]]]]]]]])  # the writer goes less deep than the reader
    except orjson.JSONEncodeError as error:
        raise Invalid("The body is nested too deeply.", errors={"_schema": ["is nested too deeply"]}) from error
    return data
