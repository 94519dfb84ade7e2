"""Reads old and binary workbooks (.xls .xlsb): values as the sheets show them.

Of a damaged one calamine still reads the values, but not how cells show them.
"""

from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any

import python_calamine

from app.worker.extraction.found import ENCRYPTED, Found, TextLimit, Unreadable, broken, left_out
from app.worker.extraction.office.excel import binary_reader, old_reader
from app.worker.extraction.office.excel.binary_records import Damaged
from app.worker.extraction.office.excel.number_format import general
from app.worker.extraction.rows import row

MAX_NAMES = 1000
ERRORS = (
    python_calamine.CalamineError,
    python_calamine.XmlError,
    python_calamine.ZipError,
    ValueError,
    OSError,
    KeyError,
    IndexError,
    OverflowError,
)


def read_old(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read .xls: with xlrd, or with calamine what xlrd cannot read."""
    try:
        return old_reader.read_formatted(content, limit.again())
    except (Unreadable, MemoryError):
        raise
    except Exception:  # xlrd has an exception of its own for few kinds of damage
        return _read_values(content, limit)


def read_binary(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read .xlsb: as its records say, or with calamine what has damaged records."""
    try:
        return binary_reader.read_formatted(content, limit.again())
    except (Damaged, IndexError):
        return _read_values(content, limit)


def _read_values(content: bytes, limit: TextLimit) -> Found:
    """Read all sheets, hidden ones too."""
    texts, names, rows = [], [], 0
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(BytesIO(content))
        for name in book.sheet_names:
            names.append(name)
            lines = [limit.take(line) for line in _lines(book.get_sheet_by_name(name))]
            rows += len(lines)
            texts += ["\n".join([name, *lines])] if lines else []
    except python_calamine.PasswordError as error:
        raise Unreadable(ENCRYPTED) from error
    except ERRORS as error:
        raise broken("Excel", error) from error
    except BaseException as error:  # a panic of calamine is not an Exception
        if type(error).__name__ != "PanicException":
            raise
        raise broken("Excel", error) from error
    metadata = {"sheets": names[:MAX_NAMES], "rows": rows}
    missing = left_out([{"what": "the number formats of the cells: values are as they are stored"}] if rows else [])
    return Found("\n\n".join(texts), {**metadata, **missing})


def _lines(sheet: Any) -> list[str]:
    lines = (row([_text_of(value) for value in cells]) for cells in sheet.to_python(skip_empty_area=True))
    return [line for line in lines if line]


def _text_of(value: object) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return general(float(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return value.isoformat() if isinstance(value, date | time) else " ".join(str(value).split())
