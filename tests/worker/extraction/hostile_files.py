"""Hostile files: the name, the media type and the content of each."""

from collections.abc import Callable

from tests.support import documents
from tests.worker.extraction.hostile import LAUGHS, SHEET_XML, WORD_XML, cyclic_pdf, repacked

HOSTILE_FILES: tuple[tuple[str, str, Callable[[], bytes]], ...] = (
    ("laughs.docx", documents.DOCX, lambda: repacked(
        documents.word(["a", "b"]), word__document_xml=LAUGHS + WORD_XML % b"<w:p><w:r><w:t>&a9;</w:t></w:r></w:p>"
    )),
    ("bomb.docx", documents.DOCX, lambda: repacked(documents.word(["a", "b"]), word__document_xml=bytes(513 << 20))),
    ("laughs.xlsx", documents.XLSX, lambda: repacked(
        documents.excel(["a"]), xl__worksheets__sheet1_xml=LAUGHS + SHEET_XML % b"<row>&a9;</row>"
    )),
    ("ring.pdf", "application/pdf", cyclic_pdf),
    ("deep.html", "text/html", lambda: b"<html>begin" + b"<div>" * 100_000 + b"word"),
)  # fmt: skip
