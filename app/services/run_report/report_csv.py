"""The report of a run as CSV, for spreadsheets: a line a task, streamed."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

COLUMNS = (
    "task_id", "custom_id", "document", "prompt", "connection", "model", "status", "answer", "score", "attempt",
    "input_tokens", "output_tokens", "cost", "latency_ms", "error", "reused_from",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet may take for the beginning of a formula


def csv_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Write rows as RFC 4180 says, in UTF-8, the names of the columns first."""
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
    """Write a value so that a spreadsheet shows it and never computes it: a leading apostrophe makes it text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return orjson.dumps(value).decode()  # a number, or what begins with a bracket: no formula
    return f"'{value}" if value.startswith(_FORMULA) else value
