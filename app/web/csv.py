"""The report of a run as CSV for spreadsheets: a stream with one line for each task."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

COLUMNS = (
    "task_id", "custom_id", "document", "prompt", "connection", "model", "status", "answer", "score", "attempt",
    "input_tokens", "output_tokens", "cost", "latency_ms", "error", "reused_from",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a cell that begins so may be read as a formula


def csv_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Write rows as RFC 4180 describes, in UTF-8, after a line with the names of the columns."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(_cell(row[name]) for name in COLUMNS)
        yield written.getvalue().encode()
        written.seek(0)
        written.truncate()
    yield written.getvalue().encode()


def _cell(value: Any) -> str:
    """Write a value so that no spreadsheet runs it as a formula: a leading apostrophe makes it text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return orjson.dumps(value).decode()  # a number, or JSON in brackets, is not a formula
    return f"'{value}" if value.startswith(_FORMULA) else value
