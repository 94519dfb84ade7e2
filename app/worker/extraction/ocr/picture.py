"""Reads a picture (PNG, JPEG, TIFF, GIF, BMP, WebP): the text that it shows."""

from collections.abc import Iterator
from io import BytesIO

from PIL import Image, ImageSequence, UnidentifiedImageError

from app.worker.extraction.found import Found, TextLimit, Unreadable, broken, left_out, omitted
from app.worker.extraction.ocr.pages import OcrPages

MAX_PIXELS = 60_000_000
MAX_PAGES = 1000  # of a TIFF
FORMATS = ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP")


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read each page of a picture."""
    ocr, texts, empty = OcrPages(limit), [], []
    for number, page in enumerate(pages_of(content), 1):
        text = ocr.text_of(page, number)
        texts.append(text)
        empty += [] if text else [number]
    missing = left_out(omitted(len(empty), "page without text", "pages without text", pages=empty))
    return Found("\n\n".join(filter(None, texts)), {"pages": len(texts), **ocr.metadata(), **missing})


def pages_of(content: bytes) -> Iterator[Image.Image]:
    """Yield the pages of a picture; a moving GIF has one. Raises Unreadable."""
    Image.MAX_IMAGE_PIXELS = None  # the size is checked here, before anything is unpacked
    try:
        picture = Image.open(BytesIO(content), formats=FORMATS)
        for number, page in enumerate(ImageSequence.Iterator(picture), 1):
            if number > (MAX_PAGES if picture.format == "TIFF" else 1):
                break
            _check_size(page)
            page.load()  # what is wrong with it shows here
            yield page
    except UnidentifiedImageError as error:
        raise broken("picture", "it does not begin like one") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise broken("picture", error) from error


def _check_size(page: Image.Image) -> None:
    pixels = page.width * page.height
    if pixels > MAX_PIXELS:
        millions = f"{pixels / 1e6:.0f} million pixels, more than {MAX_PIXELS // 1_000_000}"
        raise Unreadable(f"is too large a picture: it has {millions} million", too_large=True)
