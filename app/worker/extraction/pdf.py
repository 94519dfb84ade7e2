"""Reads a PDF page by page with PDFium: native code, fast enough for ten thousand pages."""

from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from app.worker.extraction.extracted import ENCRYPTED, Extracted, TextLimit, Unreadable, broken

HYPHEN = "\ufffe"  # PDFium's mark of a word that is continued on the next line


def read(content: bytes, charset: str | None, limit: TextLimit) -> Extracted:
    """Read a PDF. Permissions that its owner set are ignored if it opens without a password."""
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
            raise Unreadable(ENCRYPTED) from error
        raise broken("PDF", error) from error
    pages = len(document)
    if not pages:
        raise broken("PDF", "it has no page")
    text = "\n\n".join(filter(None, (limit.take(_text_of(document, number)) for number in range(pages))))
    title = document.get_metadata_value("Title").strip() or None
    return Extracted(text, {"pages": pages, "title": title})


def _text_of(document: Any, number: int) -> str:
    try:
        page = document[number]
    except pdfium.PdfiumError as error:
        raise broken("PDF", f"page {number + 1} of {len(document)}: {error}") from error
    text = page.get_textpage().get_text_bounded()
    page.close()  # this frees its text, too: ten thousand open pages take gigabytes
    return str(text).replace("\r\n", "\n").replace(HYPHEN + "\n", "").replace(HYPHEN, "").strip()
