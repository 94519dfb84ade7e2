"""Causes: tasks that failed for the same reason have the same cause.

A cause is a connection, an error code, an HTTP status and a message without what differs from task to task: its numbers
and quoted names. Its key names it in an address and in `redo`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

UNKNOWN = "unknown"
LONGEST_MESSAGE = 300
KEY_CHARACTERS = 16
HIDDEN = "…"
# What differs from task to task: quoted text, long identifiers, numbers with their separators.
_DIFFERS = re.compile(
    r"""'[^'\n]{1,200}?'(?!\w)|"[^"\n]{1,200}?"|`[^`\n]{1,200}?`|“[^”\n]{1,200}?”"""
    r"""|\b(?=[\w-]*\d)[\w-]{12,}\b|\d+(?:[.,:]\d+)*"""
)
_STATUS = re.compile(r"^\S+ answers ([45]\d\d): ")  # as the built-in worker begins a message
_TOO_LARGE = "too_large"
_REFUSED, _REFUSED_FOR_GOOD = "request_refused", {400, 404, 405, 413, 422}


class Cause(NamedTuple):
    """Why tasks failed. `message` is the pattern of their messages."""

    connection: str | None
    code: str
    http_status: int | None
    message: str

    @property
    def key(self) -> str:
        """The name of the cause: the same in every run and process."""
        return _key(self)

    @property
    def fails_again(self) -> bool:
        """Whether the same call is certain to fail again: its server refuses what the call says."""
        refused = self.code == _REFUSED and self.http_status in _REFUSED_FOR_GOOD
        return refused or self.code == _TOO_LARGE


def cause_of(connection: str | None, error: Mapping[str, Any] | None) -> Cause:
    """Find the cause of a failed task from its error; `connection` is None for tasks without one."""
    error = error or {}
    message = str(error.get("message") or "")[:LONGEST_MESSAGE]
    words = pattern_of(_STATUS.sub("", message))
    return Cause(connection, str(error.get("code") or UNKNOWN), _http_status(error, message), words)


@lru_cache(maxsize=4_096)
def pattern_of(message: str) -> str:
    """Write a message without what differs from task to task."""
    return _DIFFERS.sub(HIDDEN, message)


def _http_status(error: Mapping[str, Any], message: str) -> int | None:
    given = error.get("http_status")
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    found = _STATUS.search(message)
    return int(found[1]) if found else None


@lru_cache(maxsize=4_096)
def _key(cause: Cause) -> str:
    text = "\0".join(str(each) for each in cause)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_CHARACTERS]
