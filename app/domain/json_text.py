"""JSON from callers: refused unless it can be written again, inside an answer."""

from typing import Any

import orjson

from app.errors import Invalid


def writable_json(text: bytes) -> Any:
    """Read JSON that can also be written, inside an answer. Raises orjson.JSONDecodeError, Invalid."""
    data = orjson.loads(text)
    try:
        orjson.dumps([[[[[[[[data]]]]]]]])  # the writer allows less nesting than the reader
    except orjson.JSONEncodeError as error:
        raise Invalid("The body is nested too deeply.", errors={"_schema": ["is nested too deeply"]}) from error
    return data
