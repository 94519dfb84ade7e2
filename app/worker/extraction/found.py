"""The outcome of reading a document: its text, or the reason why there is none."""

import re
from dataclasses import dataclass, field
from typing import Any

_NOUN = re.compile(r"(?=,? (?:without|of|that|whose) )|\Z")  # the place after the noun of a phrase


@dataclass(frozen=True)
class Found:
    """The text of a document, and metadata from its file: title, pages, sheets, what was left out."""

    text: str
    metadata: dict[str, Any] = field(default_factory=dict)


class Unreadable(Exception):
    """A document that cannot be read. `why` continues a sentence that begins with its name: "is encrypted"."""

    def __init__(self, why: str, too_large: bool = False, has_no_text: bool = False) -> None:
        super().__init__(why, too_large, has_no_text)
        self.why = why
        self.too_large = too_large
        self.has_no_text = has_no_text  # nothing else is wrong with it: pictures of its pages can be made


ENCRYPTED = "is encrypted: it opens only with a password"
EMPTY = "is empty"
NO_TEXT_BY_OCR = "holds no text, and no pictures in which text was recognised"
NO_TEXT = "holds no text; it may hold pictures of text"


def left_out(*omissions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return `{"left_out": [...]}` for the metadata, or nothing if nothing was left out."""
    found = [omission for each in omissions for omission in each]
    return {"left_out": found} if found else {}


def omitted(count: int, one: str, many: str = "", **facts: Any) -> list[dict[str, Any]]:
    """Say that so many things of a document are not in its text: `{"what": "3 pages without text", "pages": [...]}`.

    `many` is the plural of `one`; by default, its noun gets an s. No entry for a count of 0.
    """
    return (
        [{"what": f"{count} {one if count == 1 else many or _NOUN.sub('s', one, count=1)}", **facts}] if count else []
    )


def broken(kind: str, error: object) -> Unreadable:
    """Make the exception for a file that its reader cannot parse. The reader's message is cut to one line."""
    message = " ".join(str(error).split())[:300]
    return Unreadable(f"is broken: it cannot be read as {kind}" + (f" ({message})" if message else ""))


class TextLimit:
    """Counts characters while they are read, so that a reader stops before it runs out of memory.

    `ocr_languages` are those in which pictures are read ('' for none), within the `seconds` of the document.
    """

    def __init__(self, characters: int, ocr_languages: str = "", seconds: float = 30) -> None:
        self._left = self.characters = characters
        self.ocr_languages = ocr_languages
        self.seconds = seconds

    def again(self) -> "TextLimit":
        """Return a limit from which nothing was taken, for a reader that may have to give way to another one."""
        return TextLimit(self.characters, self.ocr_languages, self.seconds)

    def take(self, text: str) -> str:
        """Count a piece of text and return it. Raises Unreadable beyond the limit."""
        self._left -= len(text)
        if self._left < 0:
            raise Unreadable(f"holds more than {self.characters} characters of text", too_large=True)
        return text
