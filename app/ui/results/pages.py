"""The pages of results: the matrix of answers, one of them whole, those about one document, the sums, downloads."""

from typing import Any

from flask import Blueprint, Response, render_template, request, url_for

from app.domain.answer.answers import fingerprint
from app.domain.answer.differences import differences
from app.domain.roles import READERS
from app.services.run_report.cells import Column
from app.services.run_report.found_documents import Place, Show
from app.ui.access import page
from app.ui.batch.overview import of_batch
from app.ui.batch.tasks import run_in_query, shown
from app.ui.filters import runs_of
from app.ui.query import is_fragment, number
from app.ui.results.cells import LINES, cells_of
from app.ui.results.drawer import drawer_of
from app.ui.results.matrix_query import MatrixQuery
from app.web.csv import csv_lines
from app.web.downloads import download
from app.web.json_lines import stream_lines
from app.web.services import services

routes = Blueprint("ui_results", __name__)
DOCUMENTS_A_PAGE = 20
COLUMNS_AT_FIRST = 6  # of the matrix, until others are chosen
MOST_SUMMED = 5_000  # tasks of a run that is summed up in full when its page is opened
BATCH = "/batches/<ident:batch_id>"


@page(routes, "GET", f"{BATCH}/results", roles=READERS)
def results(batch_id: int) -> str:
    """Show the answers of a run as a matrix, a page of documents; an answer that is chosen is shown whole beside it."""
    head = of_batch(batch_id, "results")
    chosen = request.args.get("cell")
    drawer = drawer_of(batch_id, chosen) if chosen else None
    runs = runs_of(head["batch"])
    if head["batch"]["input"]["ready_tasks"]:
        cursor = number("cursor")
        lines = services().run_report.lines_page(batch_id, run_in_query(), DOCUMENTS_A_PAGE, cursor or 0)
        return render_template(
            "results/lines.html", **head, **lines, runs=runs, cursor=cursor, shown=shown, drawer=drawer
        )
    query = MatrixQuery.of(request.args)
    place = Place.read(request.args.get("cursor", ""))
    report = services().run_report
    found = report.matrix(batch_id, run_in_query(), DOCUMENTS_A_PAGE, place, query.wanted, COLUMNS_AT_FIRST)
    return render_template(
        "results/matrix.html",
        **head,
        run=found.made.run,
        runs=runs,
        query=query,
        shows=list(Show),
        columns=[{**each, "key": "{}.{}".format(*each["numbers"])} for each in found.columns],
        chosen=found.wanted.columns,
        models=found.made.models,
        tasks=found.made.tasks,
        rows=[(row, cells_of(row, LINES[query.lines], found.wanted.held_run)) for row in found.page.rows],
        lines_offered=list(LINES),
        next_cursor=found.page.next_place and str(found.page.next_place),
        cursor=place and str(place),
        drawer=drawer,
    )


@page(routes, "GET", f"{BATCH}/results/cell/<string(maxlength=64):task_id>", roles=READERS)
def cell(batch_id: int, task_id: str) -> str:
    """Show one answer whole, for the place beside the matrix."""
    return render_template("results/_drawer.html", batch_id=batch_id, drawer=drawer_of(batch_id, task_id))


@page(routes, "GET", f"{BATCH}/results/sums", roles=READERS)
def sums(batch_id: int) -> str:
    """Sum up a run by model and prompt: as a part that htmx loads into the page of results, or as a page of its own."""
    most = None if request.args.get("all") else MOST_SUMMED
    found = services().run_report.sums(batch_id, run_in_query(), most)
    if is_fragment():
        return render_template("results/_sums.html", batch_id=batch_id, sums=found)
    return render_template("results/sums.html", **of_batch(batch_id, "results"), run=found["run"], sums=found)


@page(routes, "GET", f"{BATCH}/results/heads", roles=READERS)
def heads(batch_id: int) -> str:
    """Say of the columns of a page their median latency, and which share of their answers differs from the others'."""
    query, report = MatrixQuery.of(request.args), services().run_report
    medians = report.medians(batch_id, run_in_query(), MOST_SUMMED)
    shown = {column: each for column, each in medians.items() if column in query.columns}
    return render_template("results/_heads.html", shares=_shares_that_differ(batch_id, query), medians=shown)


def _shares_that_differ(batch_id: int, query: MatrixQuery) -> dict[Column, float]:
    """Give the share of the answers of each column that differ from those of the model that it is held against."""
    held, shares = query.wanted.held_model, {}
    if held is None or all(model == held for _, model in query.columns):
        return {}
    found = services().run_report.sums(batch_id, run_in_query(), MOST_SUMMED)
    for pair in found.get("agreement", ()):
        one, other = (each["number"] for each in pair["models"])
        column = pair["prompt_number"], other if one == held else one
        if pair["compared"] and held in (one, other) and column in query.columns:
            shares[column] = 1 - pair["rate"]
    return shares


@page(routes, "GET", f"{BATCH}/results/<ident:document_id>", roles=READERS)
def compare(batch_id: int, document_id: int) -> str:
    """Show side by side what the models answered to one prompt about one document."""
    head = of_batch(batch_id, "results")
    found = services().run_report.document(batch_id, run_in_query(), document_id, number("prompt"), number("part"))
    answers = [_as_text(each) for each in found["answers"]]
    given = [each for each in answers if each["text"] is not None]
    wanted = number("against")
    base = next((each for each in given if each["model_number"] == wanted), given[0] if given else None)
    return render_template(
        "results/compare.html",
        **head,
        run=found["run"],
        document=found["document"],
        prompts=found["prompts"],
        prompt_number=found["prompt_number"],
        part=found["part"],
        parts=found["parts"],
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
