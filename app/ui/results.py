"""The pages of results: the matrix of answers, the answers about one document side by side, the sums, downloads."""

from typing import Any

from flask import Blueprint, Response, render_template, request, url_for

from app.domain.answer.answers import fingerprint
from app.domain.answer.differences import differences
from app.domain.ids import plain_number
from app.domain.roles import READERS
from app.errors import Invalid
from app.ui.access import page
from app.ui.query import is_fragment, number
from app.ui.tasks import run_in_query, runs_of, shown
from app.web.csv import csv_lines
from app.web.downloads import download
from app.web.json_lines import stream_lines
from app.web.services import services

routes = Blueprint("ui_results", __name__, template_folder="templates")
DOCUMENTS_A_PAGE = 20
COLUMNS_AT_FIRST = 6  # of the matrix, until others are chosen
MOST_SUMMED = 5_000  # tasks of a run that is summed up in full when its page is opened
BATCH = "/batches/<ident:batch_id>"


@page(routes, "GET", f"{BATCH}/results", roles=READERS)
def results(batch_id: int) -> str:
    """Show the answers of a run as a matrix, a page of documents."""
    cursor = number("cursor")
    batch = services().reads.batches.show(batch_id)
    wanted = {_column(each) for each in request.args.getlist("column")}
    report = services().run_report
    found = report.matrix(batch_id, run_in_query(), DOCUMENTS_A_PAGE, cursor or 0, wanted, COLUMNS_AT_FIRST)
    columns = [{**column, "key": "{}.{}".format(*column["numbers"])} for column in found["columns"]]
    rows = [
        {**row, "cells": {f"{each['prompt_number']}.{each['model_number']}": each for each in row["answers"]}}
        for row in found["documents"]
    ]
    return render_template(
        "results/matrix.html",
        batch=batch,
        run=found["run"],
        runs=runs_of(batch),
        of_lines=found["of_lines"],
        columns=columns,
        chosen=[column for column in columns if column["numbers"] in found["chosen"]],
        rows=rows,
        next_cursor=found["next_cursor"],
        cursor=cursor,
        shown=shown,
    )


@page(routes, "GET", f"{BATCH}/results/sums", roles=READERS)
def sums(batch_id: int) -> str:
    """Sum up a run by model and prompt: as a part that htmx loads into the page of results, or as a page of its own."""
    most = None if request.args.get("all") else MOST_SUMMED
    found = services().run_report.sums(batch_id, run_in_query(), most)
    if is_fragment():
        return render_template("results/_sums.html", batch_id=batch_id, sums=found)
    batch = services().reads.batches.show(batch_id)
    return render_template("results/sums.html", batch=batch, batch_id=batch_id, run=found["run"], sums=found)


@page(routes, "GET", f"{BATCH}/results/<ident:document_id>", roles=READERS)
def compare(batch_id: int, document_id: int) -> str:
    """Show side by side what the models answered to one prompt about one document."""
    batch = services().reads.batches.show(batch_id)
    found = services().run_report.document(batch_id, run_in_query(), document_id, number("prompt"))
    answers = [_as_text(each) for each in found["answers"]]
    given = [each for each in answers if each["text"] is not None]
    wanted = number("against")
    base = next((each for each in given if each["model_number"] == wanted), given[0] if given else None)
    return render_template(
        "results/compare.html",
        batch=batch,
        run=found["run"],
        document=found["document"],
        prompts=found["prompts"],
        prompt_number=found["prompt_number"],
        answers=[{**each, **_compared(base, each)} for each in answers],
        base=base,
    )


def _as_text(cell: dict[str, Any]) -> dict[str, Any]:
    """Replace a whole answer by its text, which is cut if it is very long, and a fingerprint of the whole."""
    answer = cell["answer"]
    text = None if answer is None else shown(answer)
    return {**cell, "answer": None, "text": text, "fingerprint": fingerprint(answer, not isinstance(answer, str))}


def _compared(base: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    """Compare an answer with the base. `pieces` marks the differences; it is None without differences to mark."""
    if base is None or other is base or other["text"] is None:
        return {"pieces": None, "is_equal": None, "is_base": other is base}
    is_equal = base["fingerprint"] == other["fingerprint"]
    pieces = None if is_equal else differences(base["text"], other["text"])
    return {"pieces": pieces, "is_equal": is_equal, "is_base": False}


@page(routes, "GET", f"{BATCH}/results.jsonl", roles=READERS)
def jsonl(batch_id: int) -> Response:
    """Download the finished tasks of a run as JSON lines, the same lines as in the API."""
    return stream_lines(services().reads.results.lines(batch_id, run_in_query()), f"batch-{batch_id}.jsonl")


@page(routes, "GET", f"{BATCH}/report.csv", roles=READERS)
def csv(batch_id: int) -> Response:
    """Download the report of a run as CSV, the same lines as in the API; a cell that is cut names the task's page."""

    def address(task_id: str) -> str:
        return url_for("ui_tasks.task", batch_id=batch_id, task_id=task_id, _external=True)

    lines = csv_lines(services().run_report.lines(batch_id, run_in_query()), address)
    return download(lines, "text/csv; charset=utf-8", f"batch-{batch_id}.csv")


def _column(key: str) -> tuple[int, int]:
    prompt, _, model = key.partition(".")
    numbers = plain_number(prompt, 8), plain_number(model, 8)
    if numbers[0] is None or numbers[1] is None:
        raise Invalid("A column is the numbers of a prompt and a model.", errors={"column": ["is unknown"]})
    return numbers[0], numbers[1]
