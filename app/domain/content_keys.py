"""The key of a question: SHA-256 of all that the answer depends on. Equal keys, one answer: it is paid for once."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def key_of(*parts: Any) -> str:
    """Hash JSON values, the order of an object's members aside; 64 hex digits."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def key_of_line(line: Mapping[str, Any]) -> str:
    """The key of a ready-made task: its `custom_id` is a name, and no part of the question."""
    return key_of(line["method"], line["url"], line["body"])


def key_of_text(text: str) -> str:
    """Hash a document's text, once for all that is asked about it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
