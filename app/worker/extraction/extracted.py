"""The outcome of reading a document: its text, or the reason why there is none."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Extracted:
    """The text of a document, and metadata from its file: title, pages, sheets."""

    text: str
    metadata: dict[str, Any] = field(default_factory=dict)


class Unreadable(Exception):
    """A document that cannot be read. `why` continues a sentence that begins with its name: "is encrypted"."""

    def __init__(self, why: str, too_large: bool = False) -> None:
        super().__init__(why, too_large)
        self.why = why
        self.too_large = too_large


ENCRYPTED = "is encrypted: it opens only with a password"
EMPTY = "is empty"
NO_TEXT = "holds no text; it may hold pictures of text"


def broken(kind: str, error: object) -> Unreadable:
    """Make the exception for a file that its reader cannot parse. The reader's message is cut to one line."""
    message = " ".join(str(error).split())[:300]
    return Unreadable(f"is broken: it cannot be read as {kind}" + (f" ({message})" if message else ""))


class TextLimit:
    """Counts characters while they are read, so that a reader stops before it runs out of memory."""

    def __init__(self, characters: int) -> None:
        self._left = self._most = characters

    def take(self, text: str) -> str:
        """Count a piece of text and return it. Raises Unreadable beyond the limit."""
        self._left -= len(text)
        if self._left < 0:
            raise Unreadable(f"holds more than {self._most} characters of text", too_large=True)
        return text
