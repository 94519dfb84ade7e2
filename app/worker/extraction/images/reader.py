"""Makes a JPEG of each page of a PDF or a picture. Runs in a child process; the text that it finds are the JPEGs.

They are lines in base64, because that is what a child may send. Pages, dots and bytes are bounded.
"""

import base64
from collections.abc import Iterable, Iterator
from io import BytesIO

import pypdfium2 as pdfium
from PIL import Image

from app.worker.extraction.found import Found, TextLimit, Unreadable, broken
from app.worker.extraction.ocr.picture import pages_of
from app.worker.extraction.pdf.reader import opened

DOTS_PER_INCH = 150
MAX_PAGES = 50
MAX_PIXELS = 5_000_000  # of one page: A4 has 2.2 million
MAX_BYTES = 20 * 1024 * 1024  # of all pages together
QUALITY = 85


def read_pdf(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Render each page."""
    document = opened(content)
    _check_pages(len(document))
    document.init_forms()
    return _found(_rendered(document), limit)


def read_picture(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Take each page of a picture, with fewer dots if it is large."""
    return _found(pages_of(content), limit)


def _rendered(document: pdfium.PdfDocument) -> Iterator[Image.Image]:
    for number in range(len(document)):
        try:
            page = document[number]
        except pdfium.PdfiumError as error:
            raise broken("PDF", f"page {number + 1} of {len(document)}: {error}") from error
        width, height = page.get_size()
        scale = min(DOTS_PER_INCH / 72, (MAX_PIXELS / max(width * height, 1)) ** 0.5)
        yield page.render(scale=scale).to_pil()
        page.close()


def _found(pages: Iterable[Image.Image], limit: TextLimit) -> Found:
    lines: list[str] = []
    left = min(MAX_BYTES, 3 * limit.characters)  # a child may send four bytes for each character
    for page in pages:
        _check_pages(len(lines) + 1)
        picture = page.convert("RGB")
        factor = (MAX_PIXELS / (picture.width * picture.height)) ** 0.5
        if factor < 1:
            picture = picture.resize((max(1, int(picture.width * factor)), max(1, int(picture.height * factor))))
        file = BytesIO()
        picture.save(file, "JPEG", quality=QUALITY)
        left -= file.tell()
        if left < 0:
            raise Unreadable("is too large: the pictures of its pages have more than 20 MiB", too_large=True)
        lines.append(base64.b64encode(file.getvalue()).decode())
    return Found("\n".join(lines), {"pages": len(lines)})


def _check_pages(pages: int) -> None:
    if pages > MAX_PAGES:
        raise Unreadable(f"is too long: at most {MAX_PAGES} pages are sent as pictures. Split it", too_large=True)
