"""Reads the pages of one document that are pictures, one by one, until the time of the document runs short."""

import time
from typing import Any

from PIL import Image

from app.worker.extraction.found import TextLimit
from app.worker.extraction.ocr.tesseract import recognise

MAX_PIXELS = 25_000_000  # of a picture that Tesseract gets: A4 at 300 dots an inch has 9 million
MIN_WIDTH = 1000  # narrower pictures are enlarged: small letters are not recognised
TIME_SHARE = 0.8  # of the document's time; the rest is for its other pages
MIN_SECONDS = 1.0  # with less time left, no page is begun


class OcrPages:
    """Collects which pages were read, and how sure that is."""

    def __init__(self, limit: TextLimit) -> None:
        self._languages = limit.ocr_languages
        self._deadline = time.monotonic() + TIME_SHARE * limit.seconds
        self._limit = limit
        self.pages: list[int] = []
        self._confidences: list[float] = []

    @property
    def is_possible(self) -> bool:
        """Whether another page may be read."""
        return bool(self._languages) and self._deadline - time.monotonic() > MIN_SECONDS

    def text_of(self, picture: Image.Image, page: int) -> str:
        """Return the text of a picture; '' if there is none."""
        if not self.is_possible:
            return ""
        found = recognise(_as_pgm(picture), self._languages, self._deadline - time.monotonic())
        if found.text:
            self.pages.append(page)
            self._confidences.append(found.confidence)
        return self._limit.take(found.text)

    def metadata(self) -> dict[str, Any]:
        """Return `{"ocr": ...}` if any page was read."""
        if not self.pages:
            return {}
        mean = round(sum(self._confidences) / len(self._confidences), 1)
        return {"ocr": {"pages": self.pages[:1000], "confidence": mean, "languages": self._languages}}


def _as_pgm(picture: Image.Image) -> bytes:
    """Return a picture in grey and in a size that is good to read, in a format that takes no time to write."""
    grey = picture.convert("L")
    factor = min(2.0 if grey.width < MIN_WIDTH else 1.0, (MAX_PIXELS / max(grey.width * grey.height, 1)) ** 0.5)
    if factor != 1.0:
        grey = grey.resize((max(1, int(grey.width * factor)), max(1, int(grey.height * factor))))
    return f"P5 {grey.width} {grey.height} 255\n".encode() + grey.tobytes()
