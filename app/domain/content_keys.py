"""The content key of a question: SHA-256 of all that its answer depends on. Equal keys share one paid answer."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import orjson

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def key_of(*parts: Any) -> str:
    """Hash JSON values to 64 hex digits; the order of an object's members does not matter."""
    return hashlib.sha256(_canonical(parts)).hexdigest()


def _canonical(parts: Any) -> bytes:
    """Write JSON as `json` does, so that keys never change; orjson, which is quicker, writes almost all of it alike."""
    try:
        written = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # half a surrogate pair, or nested too deeply
        return _encode(parts).encode("utf-8", "surrogatepass")
    # Small and large floats are written in other forms; such marks in a text cost nothing but time.
    if b"e-" in written or b"e+" in written or b"0.0000" in written:
        return _encode(parts).encode("utf-8", "surrogatepass")
    return written


def key_of_line(line: Mapping[str, Any]) -> str:
    """Hash a ready-made task without its `custom_id`: that is a name, not a part of the question."""
    return key_of(line["method"], line["url"], line["body"])


def key_of_sample(line: Mapping[str, Any]) -> str:
    """Hash a ready-made task with its `custom_id`: equal questions are put each for itself."""
    return key_of(line["method"], line["url"], line["body"], line["custom_id"])


def key_of_text(text: str) -> str:
    """Hash a document's text, once for all questions about it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
