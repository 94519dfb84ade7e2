"""Reads a file in tests, as a worker does."""

import unicodedata

import pytest

from app.worker.extraction import Found, Limits, Unreadable
from app.worker.extraction import read as read_file

LIMITS = Limits()


def read(content: bytes, name: str = "a", media_type: str = "", limits: Limits = LIMITS) -> Found:
    """Read a file, and check that its text has no control characters."""
    found = read_file(content, name, media_type, limits)
    controls = {letter for letter in found.text if unicodedata.category(letter) == "Cc"} - {"\n", "\t"}
    assert not controls, controls
    return found


def why(content: bytes, name: str = "a", media_type: str = "", limits: Limits = LIMITS) -> str:
    """Return the reason why a file cannot be read."""
    with pytest.raises(Unreadable) as caught:
        read(content, name, media_type, limits)
    return caught.value.why


def left_out(found: Found) -> list[str]:
    """Return what was left out of a text, in words."""
    return [omission["what"] for omission in found.metadata.get("left_out", [])]
