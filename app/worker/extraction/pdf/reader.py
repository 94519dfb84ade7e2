"""Reads a PDF page by page with PDFium: native code, fast enough for ten thousand pages."""

from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from app.worker.extraction.found import ENCRYPTED, Found, TextLimit, Unreadable, broken, left_out, omitted
from app.worker.extraction.ocr.pages import OcrPages
from app.worker.extraction.pdf.forms import notes_of
from app.worker.extraction.pdf.page_text import text_of_page
from app.worker.extraction.pdf.pictures import picture_of

MAX_PAGES_NAMED = 1000


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read pages, filled fields and notes. If it opens without a password, its owner's permissions are ignored."""
    document = opened(content)
    pages = len(document)
    if not pages:
        raise broken("PDF", "it has no page")
    document.init_forms()
    ocr, texts, empty = OcrPages(limit), [], []
    for number in range(pages):
        text = limit.take(_text_of(document, number, ocr))
        texts.append(text)
        if not text:
            empty.append(number + 1)
    metadata = {
        "pages": pages,
        "title": _title_of(document),
        "pages_without_text": empty[:MAX_PAGES_NAMED] or None,
        **ocr.metadata(),
        **left_out(omitted(len(empty), "page without text", "pages without text", pages=empty[:MAX_PAGES_NAMED])),
    }
    return Found("\n\n".join(filter(None, texts)), metadata)


def opened(content: bytes) -> Any:
    """Open a PDF. Raises Unreadable."""
    try:
        return pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
            raise Unreadable(ENCRYPTED) from error
        raise broken("PDF", error) from error


def _text_of(document: Any, number: int, ocr: OcrPages) -> str:
    try:
        page = document[number]
    except pdfium.PdfiumError as error:
        raise broken("PDF", f"page {number + 1} of {len(document)}: {error}") from error
    try:
        text = text_of_page(page)
        if not text and ocr.is_possible and pdfium_c.FPDFPage_CountObjects(page):
            text = ocr.text_of(picture_of(page), number + 1)
        lines = [text, *notes_of(document, page)]
        return "\n".join(filter(None, lines))
    finally:
        page.close()  # this frees its text, too: ten thousand open pages take gigabytes


def _title_of(document: Any) -> str | None:
    title = str(document.get_metadata_value("Title")).strip()
    return title if title.lower() not in ("", "untitled") else None
