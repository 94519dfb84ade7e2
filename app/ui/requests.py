"""The page of requests that met a locked batch: those of all batches that wait, and the outcomes of the others."""

import re

from flask import Blueprint, render_template, request

from app.domain.roles import READERS
from app.services.reads.requests import Place
from app.ui.access import page
from app.ui.query import cursor, is_fragment
from app.web.services import services

routes = Blueprint("ui_requests", __name__)
LIMIT = 50
_PLACE = re.compile(r"(\d{1,18})\.(\d{1,18})\.(\d{1,9})")


@page(routes, "GET", "/requests", roles=READERS)
def requests() -> str:
    """Show a page of the waiting requests and one of the newest outcomes; htmx gets the changing part alone."""
    after, before = _place(request.args.get("after", "")), cursor("before")
    reads = services().reads.requests
    waiting, next_waiting = reads.waiting(LIMIT, after)
    outcomes, next_outcomes = reads.outcomes(LIMIT, before)
    template = "requests/_list.html" if is_fragment() else "requests/requests.html"
    return render_template(
        template,
        waiting=waiting,
        outcomes=outcomes,
        next_waiting=".".join(map(str, next_waiting)) if next_waiting else None,
        next_outcomes=next_outcomes,
        after=request.args.get("after", "") if after else "",
        before="" if before is None else before,
    )


def _place(text: str) -> Place | None:
    found = _PLACE.fullmatch(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None
