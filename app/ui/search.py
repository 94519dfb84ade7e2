"""The search in the bar of every page: what is found while somebody types, and a page of it."""

from typing import Any, NamedTuple

from flask import Blueprint, redirect, render_template, request, url_for

from app.domain.ids import plain_number
from app.domain.roles import READERS
from app.services.search.search import LONGEST, Found, FoundKind, SearchPlace
from app.ui.access import page
from app.ui.query import is_fragment
from app.web.services import services

routes = Blueprint("ui_search", __name__)
AT_FIRST = 6  # of each kind
A_PAGE = 50


class Section(NamedTuple):
    """What is found of one kind, and the cursor of what further there is."""

    kind: FoundKind
    found: list[Found]
    further: SearchPlace | None


@page(routes, "GET", "/find", roles=READERS)
def find() -> Any:
    """Show what has a name or a number, by kind or of one kind; go to the batch or task with exactly this number."""
    words = request.args.get("q", "").strip()[:LONGEST]
    kind = next((each for each in FoundKind if each == request.args.get("kind")), None)
    sections = [_section(words, each) for each in FoundKind if words and kind in (None, each)]
    if is_fragment():
        return render_template("search/_found.html", words=words, sections=sections)
    if kind is None and (exact := _exact(words, sections)):
        return redirect(address(exact), 303)
    if not words:
        return redirect(url_for("ui_batches.index"), 303)
    return render_template("search/found.html", words=words, sections=sections, kind=kind)


def _section(words: str, kind: FoundKind) -> Section:
    cursor = request.args.get("cursor")
    after = SearchPlace.read(cursor) if cursor and request.args.get("kind") == kind else None
    most = A_PAGE if request.args.get("kind") == kind else AT_FIRST
    return Section(kind, *services().search.page(words, kind, most, after))


def _exact(words: str, sections: list[Section]) -> Found | None:
    """Find the batch, or else the task, that has the number."""
    number = plain_number(words.removeprefix("#"))
    by_number = (each for section in sections for each in section.found if section.kind is not FoundKind.DOCUMENT)
    return None if number is None else next((each for each in by_number if each.number == number), None)


@routes.app_template_filter("address")
def address(found: Found) -> str:
    """Give the address of the page of what was found: a document is found among the results of its batch."""
    if found.kind is FoundKind.BATCH:
        return url_for("ui_batch.show", batch_id=found.number)
    if found.kind is FoundKind.TASK:
        return url_for("ui_tasks.task", batch_id=found.batch_id, task_id=found.number)
    return url_for("ui_results.results", batch_id=found.batch_id, find=found.name)
