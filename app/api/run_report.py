"""The report of a run: JSON in pages, or a stream of CSV for spreadsheets."""

from collections.abc import Mapping
from typing import Any

from flask import Response, url_for
from marshmallow import fields

from app.api.replies import reply
from app.api.routes import BATCH, Routes
from app.api.schemas.taken import ReportQuery
from app.api.schemas.views import Shown
from app.domain.roles import READERS
from app.web.csv import csv_lines
from app.web.downloads import download
from app.web.services import services

routes = Routes("run_report", __name__, url_prefix="/api", description="The report of a run")
CSV = "text/csv"


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
    """Report a run: sums by model and prompt, how far the models agree, and the answers, document by document.

    Only the first page has the sums; a page after a cursor has documents alone. CSV has no pages.
    """
    found, run, cursor = services().run_report, query["run"], query["cursor"]
    if query["format"] == "csv":
        lines = csv_lines(found.lines(batch_id, run), _address)
        return download(lines, f"{CSV}; charset=utf-8", f"batch-{batch_id}.csv")
    if cursor is not None:
        return reply(found.further_page(batch_id, run, query["limit"], cursor))
    return reply(found.first_page(batch_id, run, query["limit"]))


def _address(task_id: str) -> str:
    return url_for("tasks.show", task_id=task_id, _external=True)
