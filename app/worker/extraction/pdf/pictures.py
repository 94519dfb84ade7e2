"""Renders the pages of a PDF with PDFium."""

from typing import Any

from PIL import Image

DOTS_PER_INCH = 300  # at which letters of a usual size are recognised best
MAX_PIXELS = 25_000_000  # a page may be declared as large as a house


def picture_of(page: Any, dots_per_inch: float = DOTS_PER_INCH) -> Image.Image:
    """Render a page in grey, with fewer dots if it is very large."""
    width, height = page.get_size()
    scale = min(dots_per_inch / 72, (MAX_PIXELS / max(width * height, 1)) ** 0.5)
    picture: Image.Image = page.render(scale=scale, grayscale=True).to_pil()
    return picture
