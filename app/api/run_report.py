"""The report of a run: JSON in pages, or CSV for spreadsheets, streamed."""

import csv
import io
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from flask import Response, stream_with_context
from marshmallow import fields

from app.api.access import READERS
from app.api.answers import Shown
from app.api.replies import reply
from app.api.routes import BATCH, Routes
from app.api.schemas import ReportQuery
from app.api.wiring import services
from app.errors import Busy

routes = Routes("run_report", __name__, url_prefix="/api", description="What became of a run, put together")
CSV = "text/csv"
COLUMNS = (
    "task_id", "custom_id", "document", "prompt", "connection", "model", "status", "answer", "score", "attempt",
    "input_tokens", "output_tokens", "cost", "latency_ms", "error", "reused_from",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet may take for the beginning of a formula
WALK_WAIT_SECONDS = 5
_walks = threading.BoundedSemaphore(2)  # of this process: each reads every answer of a run, and keeps a thread


class ReportSchema(Shown):
    batch_id = fields.Integer()
    run = fields.Integer()
    models = fields.List(fields.Dict())
    prompts = fields.List(fields.Dict())
    agreement = fields.List(fields.Dict())
    agreement_left_out = fields.Integer()
    documents = fields.List(fields.Dict())
    next_cursor = fields.String(allow_none=True)


_FORMATS = {
    "application/json": {"schema": ReportSchema},
    CSV: {"schema": {"type": "string", "description": "One line a task"}},
}


@routes.call("GET", f"{BATCH}/report", READERS, refuses=[404])
@routes.arguments(ReportQuery(), location="query")
@routes.doc(responses={"200": {"description": "The report", "content": _FORMATS}})
def report(query: Mapping[str, Any], batch_id: int) -> Response:
    """Report a run: sums by model and prompt, how far models agree, and what was answered, document by document.

    The sums stand on the first page; a page after a cursor has the documents alone. CSV has no pages.
    """
    found, run, cursor = services().run_report, query["run"], query["cursor"]
    if query["format"] == "csv":
        named = {"Content-Disposition": f'attachment; filename="batch-{batch_id}.csv"'}
        lines = csv_lines(found.lines(batch_id, run))
        return Response(stream_with_context(lines), content_type=f"{CSV}; charset=utf-8", headers=named)
    if cursor is not None:
        return reply(found.further_page(batch_id, run, query["limit"], cursor))
    if not _walks.acquire(timeout=WALK_WAIT_SECONDS):
        raise Busy("Enough reports are being put together in this process.")
    try:
        return reply(found.first_page(batch_id, run, query["limit"]))
    finally:
        _walks.release()


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
