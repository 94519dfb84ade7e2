"""JSON from callers: refused if it would need too much memory, or could not be written again inside an answer."""

import json
import re
from typing import Any

import orjson

from app.errors import Invalid

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some editors and shells write it at the beginning of a file in UTF-8
# Values, keys and brackets of one JSON text: read, each takes up to some 80 bytes, and in the text perhaps two.
MOST_VALUES = 4_000_000
_MARKS = (b",", b":", b"[", b"{")
MOST_LEVELS = 240  # of nesting: the writer allows some 250, and an answer has some around the text
_TEXT_IN_JSON = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
LEAST_DIGITS = 19  # of an integer beyond 64 bits
_MANY_DIGITS = re.compile(rb"[0-9]{%d}" % LEAST_DIGITS)
_NINTH = 9  # among so many digits there are always two of every ninth character, one after the other
_TWO_DIGITS = re.compile(rb"[0-9]{2}")


def writable_json(text: bytes) -> Any:
    """Read JSON that can also be written, inside an answer. Raises orjson.JSONDecodeError, Invalid."""
    if _has_too_many_values(text):
        raise _refusal(f"has more than {MOST_VALUES:,} values")
    data = orjson.loads(text.removeprefix(BYTE_ORDER_MARK))
    if text.count(b"[") + text.count(b"{") > MOST_LEVELS:  # with fewer, it is not nested so deeply
        try:
            orjson.dumps([[[[[[[[data]]]]]]]])  # the writer allows less nesting than the reader
        except orjson.JSONEncodeError as error:
            raise _refusal("is nested too deeply") from error
    return data


def _has_too_many_values(text: bytes) -> bool:
    """Whether a text has too many values, counted by the marks between them; those within strings do not count."""
    if len(text) <= MOST_VALUES or _marks(text) <= MOST_VALUES:
        return False
    return _marks(_TEXT_IN_JSON.sub(b"", text)) > MOST_VALUES


def _marks(text: bytes) -> int:
    return sum(map(text.count, _MARKS))


def _refusal(objection: str) -> Invalid:
    return Invalid(f"The body {objection}.", errors={"_schema": [objection]})


def too_large_integer(text: bytes) -> str | None:
    """Find an integer beyond 64 bits in valid JSON: `writable_json` reads it as a float, which is another number."""
    # To search every ninth character is much quicker than to search for so many digits in a row.
    if not _TWO_DIGITS.search(text[::_NINTH]) or not _MANY_DIGITS.search(text):
        return None
    found: list[str] = []

    def look_at(digits: str) -> None:
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
            found.append(digits)

    json.loads(text.removeprefix(BYTE_ORDER_MARK), parse_int=look_at)
    return found[0] if found else None
