"""Scans and pictures of text, read by a real Tesseract; and what is said without one."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from app.worker import arguments
from app.worker.extraction import Limits
from app.worker.extraction.ocr import tesseract
from tests.support import documents
from tests.worker.extraction.reading import left_out, read, why

needs_tesseract = pytest.mark.usefixtures("tesseract_installed")
WITH_OCR = Limits(seconds=600, ocr_languages="eng")


def picture(*lines: str) -> Image.Image:
    made = Image.new("L", (1240, 1754), 255)
    font = ImageFont.load_default(size=44)
    for number, line in enumerate(lines):
        ImageDraw.Draw(made).text((100, 150 + 80 * number), line, fill=0, font=font)
    return made


def saved(made: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    made.save(file, kind, **options)
    return file.getvalue()


def scan(*pages: str | list[str]) -> bytes:
    """A PDF whose pages are text, or pictures of the lines of a list."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(595, 842))
    for page in pages:
        if isinstance(page, str):
            canvas.drawString(72, 700, page)
        else:
            canvas.drawImage(ImageReader(picture(*page)), 0, 0, 595, 842)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


@needs_tesseract
def test_pages_without_text_are_recognised_and_the_others_are_not() -> None:
    content = scan("The first page", ["The price is 250 euros", "Payment within thirty days"], "The third page", [])
    found = read(content, "a.pdf", limits=WITH_OCR)
    first, second, third = found.text.split("\n\n")
    assert (first, third) == ("The first page", "The third page")
    assert second.split("\n") == ["The price is 250 euros", "Payment within thirty days"]
    assert found.metadata["ocr"]["pages"] == [2]
    assert found.metadata["ocr"]["languages"] == "eng"
    assert 50 < found.metadata["ocr"]["confidence"] <= 100
    assert found.metadata["pages_without_text"] == [4]
    assert left_out(found) == ["1 page without text"]


@needs_tesseract
@pytest.mark.parametrize(
    ("kind", "ending"), [("PNG", "png"), ("JPEG", "jpg"), ("TIFF", "tif"), ("BMP", "bmp"), ("WEBP", "webp")]
)
def test_pictures_are_read(kind: str, ending: str) -> None:
    found = read(saved(picture("The price is 250 euros"), kind), f"a.{ending}", limits=WITH_OCR)
    assert found.text == "The price is 250 euros"
    assert found.metadata["ocr"]["pages"] == [1]


@needs_tesseract
def test_a_fax_of_several_pages() -> None:
    pages = [picture("The first page"), picture("The second page")]
    found = read(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]), "a.tif", limits=WITH_OCR)
    assert found.text == "The first page\n\nThe second page"


@needs_tesseract
def test_a_scan_without_any_word_says_so() -> None:
    assert why(scan([]), "a.pdf", limits=WITH_OCR).startswith("holds no text, and no pictures in which text")


def test_a_picture_of_100_megapixels_is_refused_and_the_next_file_read() -> None:
    limits = Limits(seconds=120, memory_mib=400, ocr_languages="eng")
    huge = saved(Image.new("1", (10_000, 10_000)))
    assert "100 million pixels" in why(huge, "a.png", limits=limits)
    assert why(b"\x89PNG\r\n\x1a\n" + bytes(100), "a.png", limits=limits).startswith("is broken")
    assert read(documents.pdf(["agreement"]), limits=limits).text == "agreement"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Replaces the programs of this machine by one script as Tesseract."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(script: str) -> None:
        (tmp_path / "tesseract").write_text(f"#!/bin/sh\n{script}\n")
        os.chmod(tmp_path / "tesseract", 0o755)

    return write


def test_without_tesseract_the_refusal_says_how_to_get_it(path: Callable[[str], None]) -> None:
    limits = Limits(ocr_languages=arguments.checked_languages(None))
    for content, name in ((scan(["Text"]), "a.pdf"), (saved(picture("Text")), "a.png")):
        assert "apt-get install tesseract-ocr" in why(content, name, limits=limits)
    found = read(scan("One", ["Text"]), "a.pdf", limits=limits)
    assert found.metadata["pages_without_text"] == [2]
    assert "ocr" not in found.metadata


def test_the_worker_finds_the_languages_at_its_start(path: Callable[[str], None]) -> None:
    assert tesseract.languages() == []
    assert arguments.checked_languages(None) == ""
    path('echo "List of available languages (4):"; echo osd; echo eng; echo deu; echo script/Latin')
    assert tesseract.languages() == ["deu", "eng"]
    assert arguments.checked_languages(None) == "deu+eng"
    assert arguments.checked_languages("eng") == "eng"
    assert arguments.checked_languages("none") == ""
    with pytest.raises(click.BadParameter, match="does not have fra here; it has deu, eng"):
        arguments.checked_languages("eng+fra")
    path("exit 1")
    assert tesseract.languages() == []


def test_a_tesseract_that_fails_or_hangs_gives_no_text(path: Callable[[str], None]) -> None:
    path("exit 1")
    assert tesseract.recognise(b"P5 1 1 255\n0", "eng", 5).text == ""
    path("while :; do :; done")
    assert tesseract.recognise(b"P5 1 1 255\n0", "eng", 0.1).text == ""
