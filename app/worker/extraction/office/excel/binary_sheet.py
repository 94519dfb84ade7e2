"""Reads the sheets and the tables beside them of a binary workbook (.xlsb): texts, styles, cells, comments."""

from collections.abc import Callable, Iterator

from app.worker.extraction.found import TextLimit
from app.worker.extraction.office.excel.binary_records import packed, real, records, short, text, whole
from app.worker.extraction.office.excel.format_code import BUILT_IN
from app.worker.extraction.office.excel.number_format import formatter, general
from app.worker.extraction.office.excel.styles import Show
from app.worker.extraction.rows import row

MAX_GAP = 16_384  # columns of a sheet
_ROW = 0
_SHARED_TEXT, _FORMAT, _STYLE = 19, 44, 47
_BEGIN_STYLES, _END_STYLES = 617, 618
_AUTHOR, _COMMENT, _COMMENT_TEXT = 632, 635, 637
_WITHOUT_COLUMN = range(12, 19)  # such a record is the cell after the one before it
ERRORS = {
    0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A", 43: "#GETTING_DATA",
}  # fmt: skip
Value = Callable[[bytes, int], "float | str"]


def _one_line(value: str) -> str:
    return " ".join(value.split())


def _error(data: bytes, place: int) -> str:
    return ERRORS.get(data[place], "#N/A")


def _truth(data: bytes, place: int) -> str:
    return "TRUE" if data[place] else "FALSE"


def _text(data: bytes, place: int) -> str:
    return _one_line(text(data, place)[0])


def _rich_text(data: bytes, place: int) -> str:
    return _text(data, place + 1)  # a byte says what follows the text


# How the value of a cell is read, by the number of its record.
_VALUES: dict[int, Value] = {
    2: packed, 3: _error, 4: _truth, 5: real, 6: _text,
    8: _text, 9: real, 10: _truth, 11: _error,  # of formulas
    13: packed, 14: _error, 15: _truth, 16: real, 17: _text, 62: _rich_text,
}  # fmt: skip
_SHARED = (7, 18)
_BLANK = (1, 12)


def shared_texts(part: bytes) -> list[str]:
    """Read the texts that cells refer to by number."""
    return [_rich_text(data, 0) for number, data in records(part) if number == _SHARED_TEXT]


def styles_of(part: bytes, date1904: bool) -> list[Show | None]:
    """Return how each cell style shows numbers; None for the format General."""
    codes = dict(BUILT_IN)
    found: list[Show | None] = []
    of_cells = False
    for number, data in records(part):
        if number == _FORMAT:
            codes[short(data, 0)] = text(data, 2)[0] or "General"
        elif number in (_BEGIN_STYLES, _END_STYLES):
            of_cells = number == _BEGIN_STYLES
        elif number == _STYLE and of_cells:
            code = codes.get(short(data, 2), "General")
            found.append(None if code in ("General", "@") else formatter(code, date1904))
    return found


def lines_of(part: bytes, texts: list[str], styles: list[Show | None], limit: TextLimit) -> list[str]:
    """Read the rows of a sheet as lines, with the values as the sheet shows them."""
    return [limit.take(line) for cells in _rows(part, texts, styles) if (line := row(cells))]


def _rows(part: bytes, texts: list[str], styles: list[Show | None]) -> Iterator[list[str]]:
    cells: list[str] = []
    column = -1
    for number, data in records(part):
        if number == _ROW:
            yield cells
            cells, column = [], -1
            continue
        read = _VALUES.get(number)
        if read is None and number not in _SHARED and number not in _BLANK:
            continue
        place = 4 if number in _WITHOUT_COLUMN else 8
        column = column + 1 if place == 4 else whole(data, 0)
        if number in _BLANK:
            continue
        if read is None:
            index = whole(data, place)
            shown = texts[index] if index < len(texts) else ""
        else:
            value = read(data, place)
            shown = value if isinstance(value, str) else _number(value, whole(data, place - 4) & 0xFFFFFF, styles)
        if shown:
            cells.extend([""] * min(column - len(cells), MAX_GAP))
            cells.append(shown)
    yield cells


def _number(value: float, style: int, styles: list[Show | None]) -> str:
    show = styles[style] if style < len(styles) else None
    return show(value) if show else general(value)


def comments_of(part: bytes) -> list[str]:
    """Read the comments of a sheet as lines."""
    authors: list[str] = []
    lines: list[str] = []
    by = place = ""
    for number, data in records(part):
        if number == _AUTHOR:
            authors.append(_text(data, 0))
        elif number == _COMMENT:
            author = whole(data, 0)
            by = authors[author] if author < len(authors) else ""
            place = f"{_letters(whole(data, 12))}{whole(data, 4) + 1}"
        elif number == _COMMENT_TEXT and (comment := _rich_text(data, 0)):
            named = f" ({by})" if by and not comment.startswith(by) else ""
            lines.append(f"Comment {place}{named}: {comment}")
    return lines


def _letters(column: int) -> str:
    """Return the name of a column: of 27, `AB`."""
    name, number = "", column + 1
    while number and len(name) < 3:
        number, letter = divmod(number - 1, 26)
        name = chr(65 + letter) + name
    return name
