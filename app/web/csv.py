"""The report of a run as CSV for spreadsheets: a stream with one line for each task.

Programs read the results as JSON lines: here some texts are changed, because a spreadsheet would change or run them.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

COLUMNS = (
    "task_id", "custom_id", "document", "prompt", "connection", "model", "status", "answer", "truncated", "score",
    "attempt", "input_tokens", "output_tokens", "cost", "latency_ms", "error", "reused_from", "unpriced_calls",
    "part", "parts",
)  # fmt: skip
BYTE_ORDER_MARK = "\ufeff"  # without it, Excel does not read the file as UTF-8
MOST_CELL_UNITS = 32_767  # of UTF-16: Excel divides or cuts a longer cell
_NAMES = frozenset({"custom_id", "document", "prompt", "connection", "model"})

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a cell that begins so may be read as a formula
# Where the list separator is `;`, a cell is divided there, and each of its lines is a row. A list's hyphen is kept.
_FORMULA_WITHIN = re.compile(
    r""";(?=[ \t"]*[=+@-]) | [\r\n](?=[ \t"]*(?: [=+@] | -(?!\ [^(|\r\n]*(?:[\r\n]|$)) ))""", re.VERBOSE
)
_FORMULA_WITHIN_JSON = re.compile(r"""(;[ \t"\\]*)([=+@-])""")

_KEPT_INTEGER = re.compile(r"0|[1-9][0-9]{0,14}")  # a spreadsheet keeps 15 digits
_MONTH = (
    "jan(?:uary?)?|feb(?:ruary?)?|mar(?:ch)?|märz?|mrz|apr(?:il)?|may|mai|june?|juni|july?|juli|aug(?:ust)?"
    "|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?"
)
_NUMBER_OR_DATE = re.compile(
    r"(?=\D*\d)[\s\d.,:/%()$€£+-]+(?:e[+-]?\d+)?(?:[ap]m)?|true|false|wahr|falsch"
    rf"|\d+[\s./-]*(?:{_MONTH})[\s./-]*\d*|(?:{_MONTH})[\s./-]*\d+",
    re.IGNORECASE,
)


def csv_lines(rows: Iterable[Mapping[str, Any]], address: Callable[[str], str]) -> Iterator[bytes]:
    """Write rows as RFC 4180 describes, in UTF-8, after a line with the names of the columns.

    A cell that is too long for a spreadsheet is cut, and names the address of its task, `address(task_id)`.
    """
    written = io.StringIO()
    written.write(BYTE_ORDER_MARK)
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = [_cell(name, row[name]) for name in COLUMNS]
        writer.writerow(_cut(cell, row["task_id"], address) for cell in cells)
        yield written.getvalue().encode()
        written.seek(0)
        written.truncate()
    yield written.getvalue().encode()


def _cell(name: str, value: Any) -> str:
    """Write a value so that no spreadsheet runs it as a formula, or changes a name: an apostrophe makes it text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        # A number, or JSON in brackets, is not a formula at its beginning.
        return _FORMULA_WITHIN_JSON.sub(_escaped, orjson.dumps(value).decode())
    text = _FORMULA_WITHIN.sub(r"\g<0>'", value)
    is_formula = text.startswith(_FORMULA)
    return f"'{text}" if is_formula or (name in _NAMES and _is_changed(value)) else text


def _escaped(found: re.Match[str]) -> str:
    return f"{found[1]}\\u{ord(found[2]):04x}"


def _is_changed(name: str) -> bool:
    """Whether a spreadsheet would read the name as a number, a date or a truth value, and show another text."""
    return not _KEPT_INTEGER.fullmatch(name) and _NUMBER_OR_DATE.fullmatch(name) is not None


def _cut(cell: str, task_id: str, address: Callable[[str], str]) -> str:
    if 2 * len(cell) <= MOST_CELL_UNITS or len(encoded := cell.encode("utf-16-le")) <= 2 * MOST_CELL_UNITS:
        return cell
    mark = f" [cut: the whole text has {len(cell):,} characters, see {address(task_id)}]"
    kept = encoded[: 2 * (MOST_CELL_UNITS - len(mark))]
    return kept.decode("utf-16-le", errors="ignore") + mark  # half a surrogate pair is ignored
