"""Binary workbooks (.xlsb): values as the sheets show them, as in .xlsx; damaged ones as calamine reads them."""

import io
import struct
from pathlib import Path

import pytest
import python_calamine

from tests.worker.extraction.binary_excel_files import (
    BLANK,
    ERROR,
    FORMULA_ERROR,
    FORMULA_REAL,
    FORMULA_TEXT,
    FORMULA_TRUTH,
    PACKED,
    REAL,
    RICH_TEXT,
    SHARED,
    TEXT,
    TRUTH,
    cell,
    comment,
    real,
    record,
    row,
    text,
    workbook,
)  # fmt: skip
from tests.worker.extraction.reading import left_out, read, why

CASES = Path(__file__).parent / "cases"
CODES = ['#,##0.00 "€"', "0.0%", "yyyy-mm-dd", "00000", "[h]:mm", "#,##0.00;[Red](#,##0.00)", "d/m/yyyy h:mm"]
EURO, PERCENT, DAY, ZEROS, HOURS, BRACKETS, MOMENT, BUILT_IN_DAY = range(1, 9)


def whole(value: int) -> bytes:
    """Write a whole number as Excel packs it: the lowest bits say that it is whole, and not divided by 100."""
    return struct.pack("<i", value << 2 | 2)


def hundredths(value: int) -> bytes:
    return struct.pack("<i", value << 2 | 3)


def packed_real(value: float) -> bytes:
    """Write the upper half of a number, which is all of many numbers."""
    return struct.pack("<I", struct.unpack("<II", real(value))[1] & ~3)


ROWS: tuple[tuple[tuple[bytes, ...], str], ...] = (
    ((cell(SHARED, 0, struct.pack("<I", 1)), cell(TEXT, 2, text("in  line"))), "Größe of pie |  | in line"),
    ((cell(REAL, 0, real(1234.5), EURO), cell(REAL, 1, real(0.256), PERCENT)), "1,234.50 € | 25.6%"),
    ((cell(PACKED, 0, whole(45418), DAY), cell(PACKED, 1, whole(45418), BUILT_IN_DAY)), "2024-05-06 | 2024-05-06"),
    ((cell(PACKED, 0, whole(1234), ZEROS), cell(REAL, 1, real(1.1041666666667), HOURS)), "01234 | 26:30"),
    ((cell(PACKED, 0, hundredths(-123450), BRACKETS), cell(REAL, 1, real(45418.75), MOMENT)),
     "(1,234.50) | 6/5/2024 18:00"),
    ((cell(PACKED, 0, packed_real(0.5)), cell(PACKED, 1, whole(-3)), cell(REAL, 2, real(0.1 + 0.2))), "0.5 | -3 | 0.3"),
    ((cell(TRUTH, 0, b"\1"), cell(ERROR, 1, b"\x2a"), cell(BLANK, 2, b""), cell(RICH_TEXT, 3, b"\1" + text("rich"))),
     "TRUE | #N/A |  | rich"),
    ((cell(FORMULA_REAL, 0, real(0.5) + bytes(9), PERCENT), cell(FORMULA_TEXT, 1, text("made") + bytes(9)),
      cell(FORMULA_TRUTH, 2, b"\0" + bytes(9)), cell(FORMULA_ERROR, 3, b"\7" + bytes(9))),
     "50.0% | made | FALSE | #DIV/0!"),
    ((cell(PACKED, 1, whole(1)), record(13, struct.pack("<I", PERCENT) + whole(2)), record(12, bytes(4)),
      record(18, bytes(4) + struct.pack("<I", 0))), " | 1 | 200.0% |  | Item"),  # records without a column
    ((cell(SHARED, 0, struct.pack("<I", 99)), cell(REAL, 1, real(7), 999)), " | 7"),  # there are fewer texts and styles
)  # fmt: skip


def sheet() -> bytes:
    return b"".join(row(number, *cells) for number, (cells, _) in enumerate(ROWS))


def test_values_are_as_the_sheet_shows_them() -> None:
    content = workbook(
        {"Plan": sheet(), "Old": row(0, cell(TEXT, 0, text("secret")))}, CODES, ["Item", "Größe\nof pie"]
    )
    found = read(content, "a.xlsb")
    assert found.text.split("\n") == ["Plan", *(line for _, line in ROWS), "", "Old", "secret"]
    assert found.metadata["rows"] == len(ROWS) + 1
    assert found.metadata["media_type"] == "application/vnd.ms-excel.sheet.binary.macroenabled.12"
    assert left_out(found) == []


def test_days_since_1904_and_hidden_sheets() -> None:
    days = row(0, cell(PACKED, 0, whole(45418 - 1462), DAY))
    found = read(workbook({"Plan": days, "Old": days}, CODES, date1904=True, hidden=["Old"]), "a.xlsb")
    assert found.text == "Plan\n2024-05-06\n\nOld\n2024-05-06"
    assert found.metadata["hidden_sheets"] == ["Old"]


def test_comments() -> None:
    comments = (
        record(632, text("Ann")) + comment(4, 27, 0, "too\ndear") + comment(0, 0, 9, "by nobody") + comment(0, 1, 0, "")
    )
    found = read(workbook({"Plan": row(0, cell(TEXT, 0, text("Pie")))}, comments=comments), "a.xlsb")
    assert found.text == "Plan\nPie\nComment AB5 (Ann): too dear\nComment A1: by nobody"


def test_another_reader_finds_the_same_values_in_these_files() -> None:
    content = workbook({"Plan": row(0, cell(REAL, 0, real(0.256), PERCENT), cell(TEXT, 1, text("Pie")))}, CODES)
    (cells,) = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    assert cells == [0.256, "Pie"]


def test_a_workbook_of_another_writer() -> None:
    """The file was written by SheetJS 0.18.5."""
    found = read((CASES / "formats.xlsb").read_bytes(), "a")
    assert found.text.split("\n") == [
        "Plan",
        "Item | Price | Share | Day | Code | Time",
        "Größe of pie | 1,234.50 € | 25.6% | 2024-05-06 | 01234 | 26:30 | TRUE | #DIV/0!",
        "3 | 0.3 | (1,234.50) | 6/5/2024 18:00 |  | $250",
        "12345678901 |  | 10%",
        "",
        "Old",
        "secret",
    ]
    assert found.metadata["hidden_sheets"] == ["Old"]


def test_of_a_damaged_workbook_the_values_are_read() -> None:
    content = workbook({"Plan": row(0, cell(REAL, 0, real(0.5), PERCENT))}, CODES, after_styles=b"\x05\x30")
    found = read(content, "a.xlsb")
    assert found.text == "Plan\n0.5"
    assert left_out(found) == ["the number formats of the cells: values are as they are stored"]


@pytest.mark.parametrize("sheets", [{}, {"Plan": b"\x85"}])
def test_a_broken_workbook_is_refused(sheets: dict[str, bytes]) -> None:
    reason = why(workbook(sheets), "a.xlsb")
    assert reason.startswith(("is broken: it cannot be read as Excel", "holds no text")), reason
