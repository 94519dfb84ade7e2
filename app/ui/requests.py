"""The requests that met a locked batch: who waits, over all batches, and what became of those before."""

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
    """Show a page of those who wait and one of the newest outcomes; a part of it when htmx asks for it again."""
    after, before = _place(request.args.get("after", "")), cursor("before")
    waiting = services().waiting_requests.waiting(LIMIT + 1, after)
    outcomes = services().waiting_requests.outcomes(LIMIT + 1, before)
    template = "requests/_list.html" if is_fragment() else "requests/requests.html"
    return render_template(
        template,
        waiting=[row for _, row in waiting[:LIMIT]],
        outcomes=[row for _, row in outcomes[:LIMIT]],
        next_waiting=".".join(map(str, waiting[LIMIT - 1][0])) if len(waiting) > LIMIT else None,
        next_outcomes=outcomes[LIMIT - 1][0] if len(outcomes) > LIMIT else None,
        after=request.args.get("after", "") if after else "",
        before="" if before is None else before,
    )


def _place(text: str) -> Place | None:
    found = _PLACE.fullmatch(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None
