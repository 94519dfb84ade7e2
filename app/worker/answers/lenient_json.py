"""JSON as model servers and models write it, read so that one bad byte loses no answer.

Valid JSON is read strictly. In any other text a byte order mark is skipped, bytes that are not UTF-8 and halves of a
surrogate pair become U+FFFD, `NaN` and `Infinity` become null, and control characters within a string stay.
"""

import json
import math
from typing import Any

import orjson

from app.worker.reporting.reports import sendable

MAX_INT_DIGITS = 18  # a longer one may not fit into 64 bits


def loads(content: bytes | str) -> Any:
    """Read JSON. Raises ValueError for what is not JSON even so, or is nested too deeply to be sent on."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        text = content if isinstance(content, str) else content.decode(json.detect_encoding(content), "replace")
    try:
        return sendable(_DECODER.decode(text.removeprefix("\ufeff")))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _number(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


_DECODER = json.JSONDecoder(
    parse_constant=lambda _: None,
    parse_float=_number,  # null is what JSON has in place of an infinite number
    parse_int=lambda digits: int(digits) if len(digits) <= MAX_INT_DIGITS else _number(digits),
    strict=False,
)
