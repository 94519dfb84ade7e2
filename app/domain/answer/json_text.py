"""JSON from callers: refused unless it can be written again, inside an answer."""

import json
import re
from typing import Any

import orjson

from app.errors import Invalid

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some editors and shells write it at the beginning of a file in UTF-8
_MANY_DIGITS = re.compile(rb"[0-9]{19}")


def writable_json(text: bytes) -> Any:
    """Read JSON that can also be written, inside an answer. Raises orjson.JSONDecodeError, Invalid."""
    data = orjson.loads(text.removeprefix(BYTE_ORDER_MARK))
    try:
        orjson.dumps([[[[[[[[data]]]]]]]])  # the writer allows less nesting than the reader
    except orjson.JSONEncodeError as error:
        raise Invalid("The body is nested too deeply.", errors={"_schema": ["is nested too deeply"]}) from error
    return data


def too_large_integer(text: bytes) -> str | None:
    """Find an integer beyond 64 bits in valid JSON: `writable_json` reads it as a float, which is another number."""
    if not _MANY_DIGITS.search(text):
        return None
    found: list[str] = []

    def look_at(digits: str) -> None:
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
            found.append(digits)

    json.loads(text.removeprefix(BYTE_ORDER_MARK), parse_int=look_at)
    return found[0] if found else None
