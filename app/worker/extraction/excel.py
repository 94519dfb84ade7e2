"""Reads an Excel workbook (.xlsx) sheet by sheet, with a line for each row. openpyxl reads row by row."""

import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from io import BytesIO
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from lxml import etree
from openpyxl.utils.exceptions import InvalidFileException

from app.worker.extraction.extracted import Extracted, TextLimit, broken
from app.worker.extraction.office import check_archive, row

BROKEN = (
    InvalidFileException, zipfile.BadZipFile, etree.LxmlError, ParseError,
    KeyError, ValueError, AttributeError, IndexError, TypeError, OSError,
)  # fmt: skip


def read(content: bytes, charset: str | None, limit: TextLimit) -> Extracted:
    """Read a workbook. A cell with a formula has the value that was saved with the file."""
    check_archive(content, "Excel")
    try:
        book = openpyxl.load_workbook(BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheets = {sheet.title: list(_rows(sheet, limit)) for sheet in book.worksheets}
    except BROKEN as error:
        raise broken("Excel", error) from error
    text = "\n\n".join("\n".join([title, *rows]) for title, rows in sheets.items() if rows)
    return Extracted(text, {"sheets": list(sheets)[:1000], "rows": sum(map(len, sheets.values()))})


def _rows(sheet: Any, limit: TextLimit) -> Iterator[str]:
    sheet.reset_dimensions()  # the size that the file declares may be wrong
    for cells in sheet.iter_rows(values_only=True):
        if line := row([_text_of(value) for value in cells]):
            yield limit.take(line)


def _text_of(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    return value.isoformat() if isinstance(value, date | time) else str(value)
