"""Reads a workbook of Excel before 2007 (.xls) with xlrd: values as the sheets show them."""

import io
from typing import Any

import xlrd

from app.worker.extraction.found import Found, TextLimit
from app.worker.extraction.office.excel.format_code import BUILT_IN
from app.worker.extraction.office.excel.number_format import formatter, general
from app.worker.extraction.rows import row

MAX_NAMES = 1000


class _Shower:
    """Shows the cells of a workbook."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._date1904 = bool(book.datemode)

    def text_of(self, cell: Any) -> str:
        if cell.ctype == xlrd.XL_CELL_TEXT:
            return " ".join(str(cell.value).split())
        if cell.ctype in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
            return self._number(float(cell.value), cell.xf_index)
        if cell.ctype == xlrd.XL_CELL_BOOLEAN:
            return "TRUE" if cell.value else "FALSE"
        if cell.ctype == xlrd.XL_CELL_ERROR:
            return str(xlrd.error_text_from_code.get(cell.value, "#N/A"))
        return ""

    def _number(self, value: float, style: int | None) -> str:
        code = self._code(style)
        return general(value) if code in ("General", "@") else formatter(code, self._date1904)(value)

    def _code(self, style: int | None) -> str:
        if style is None or not 0 <= style < len(self._book.xf_list):
            return "General"
        key = self._book.xf_list[style].format_key
        found = self._book.format_map.get(key)
        return BUILT_IN.get(key) or (found.format_str if found else "") or "General"


def read_formatted(content: bytes, limit: TextLimit) -> Found:
    """Read all sheets, hidden ones too. Raises many kinds of exceptions for a file that xlrd cannot read."""
    book = xlrd.open_workbook(file_contents=content, formatting_info=True, logfile=io.StringIO())
    shower = _Shower(book)
    texts, hidden, rows = [], [], 0
    for sheet in book.sheets():
        if sheet.visibility:
            hidden.append(sheet.name)
        lines = [line for cells in sheet.get_rows() if (line := row([shower.text_of(cell) for cell in cells]))]
        rows += len(lines)
        texts += ["\n".join([sheet.name, *map(limit.take, lines)])] if lines else []
    metadata = {"sheets": book.sheet_names()[:MAX_NAMES], "rows": rows, "hidden_sheets": hidden[:MAX_NAMES] or None}
    return Found("\n\n".join(texts), metadata)
