"""The content key of a question: SHA-256 of all that its answer depends on. Equal keys share one paid answer."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def key_of(*parts: Any) -> str:
    """Hash JSON values to 64 hex digits; the order of an object's members does not matter."""
    return hashlib.sha256(_canonical(parts).encode("utf-8", "surrogatepass")).hexdigest()


def key_of_line(line: Mapping[str, Any]) -> str:
    """Hash a ready-made task without its `custom_id`: that is a name, not a part of the question."""
    return key_of(line["method"], line["url"], line["body"])


def key_of_sample(line: Mapping[str, Any]) -> str:
    """Hash a ready-made task with its `custom_id`: equal questions are put each for itself."""
    return key_of(line["method"], line["url"], line["body"], line["custom_id"])


def key_of_text(text: str) -> str:
    """Hash a document's text, once for all questions about it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
