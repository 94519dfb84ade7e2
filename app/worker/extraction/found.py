"""What comes of reading a document: its text, or why there is none."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Extracted:
    """The text of a document, and what else its file says: title, pages, sheets."""

    text: str
    metadata: dict[str, Any] = field(default_factory=dict)


class Unreadable(Exception):
    """A document that cannot be read. `why` goes on a sentence that begins with its name: "is encrypted"."""

    def __init__(self, why: str, too_large: bool = False) -> None:
        super().__init__(why, too_large)
        self.why = why
        self.too_large = too_large


ENCRYPTED = "is encrypted: it opens with a password alone"
EMPTY = "is empty"
NO_TEXT = "holds no text; it may hold pictures of text"


def broken(kind: str, error: object) -> Unreadable:
    """A file that its reader could make nothing of; what the reader said is cut to a line."""
    said = " ".join(str(error).split())[:300]
    return Unreadable(f"is broken: it is no {kind} that can be read" + (f" ({said})" if said else ""))


class TextLimit:
    """Counts the characters as they are found, so that a reader ends before its memory does."""

    def __init__(self, characters: int) -> None:
        self._left = self._most = characters

    def take(self, text: str) -> str:
        """Count a piece of text and give it back. Raises Unreadable."""
        self._left -= len(text)
        if self._left < 0:
            raise Unreadable(f"holds more than {self._most} characters of text", too_large=True)
        return text
