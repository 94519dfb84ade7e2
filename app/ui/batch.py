"""The page of one batch: its state and progress, its path through the states, its actions and its charts."""

from itertools import pairwise
from typing import Any

import orjson
from flask import Blueprint, Response, render_template, request

from app.domain import diagram
from app.domain.roles import READERS
from app.domain.transitions import ACTIONS, BEGINS_RUN, BY_TRIGGER, INITIAL, Kind
from app.ui.access import may_operate, page
from app.ui.audit_trail import timeline_of
from app.ui.fragments import fragments
from app.web.services import services

routes = Blueprint("ui_batch", __name__, template_folder="templates")
# The action that tries failed tasks again: it begins a run that is not the batch's first.
RETRY = next(
    each for each in ACTIONS if BY_TRIGGER[each].target in BEGINS_RUN and INITIAL not in BY_TRIGGER[each].sources
)


@page(routes, "GET", "/batches/<ident:batch_id>", roles=READERS)
def show(batch_id: int) -> str:
    """Show a batch."""
    return whole_page(batch_id)


def whole_page(batch_id: int, **more: Any) -> str:
    """Render a batch's page; `more` is the dialog of an action, or its answer. Raises NotFound."""
    left_out = services().reads.tasks.left_out(batch_id)
    facts = {
        "batch_id": batch_id,
        "left_out": left_out,
        "timeline": timeline_of(batch_id),
        "kinds": list(Kind),
        **_present(batch_id),
    }
    return render_template("batch/page.html", **facts, **more)


def _present(batch_id: int) -> dict[str, Any]:
    return {"now": services().reads.batch_page.present(batch_id), "retry": RETRY}


@page(routes, "GET", "/batches/<ident:batch_id>/now", roles=READERS)
def now(batch_id: int) -> str:
    """Show the part of a batch's page that changes."""
    pulse = services().reads.batch_page.pulse(batch_id)
    key = ("now", request.script_root, batch_id, pulse.changed, may_operate())

    def render() -> str:
        return render_template("batch/_now.html", **_present(batch_id), is_fragment=True)

    return fragments().shared(key, pulse.moved, render)


@page(routes, "GET", "/batches/<ident:batch_id>/picture.svg", roles=READERS)
def picture(batch_id: int) -> Response:
    """Draw the states, with the path of a batch through them and its present state."""
    state, path = services().reads.audit.path(batch_id)
    response = Response(diagram.as_svg(state, path), content_type="image/svg+xml; charset=utf-8")
    # Opened as a page of its own, the picture needs its own styles; as an image in a page it does not.
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    if "version" in request.args:  # the address changes with the batch
        response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@page(routes, "GET", "/batches/<ident:batch_id>/moments", roles=READERS)
def moments(batch_id: int) -> Response:
    """Give the columns of the charts: time, calls a second, failures a second, milliseconds a call."""
    taken = services().reads.batch_page.moments(batch_id)
    columns: list[list[float | None]] = [[], [], [], []]
    for before, after in pairwise(taken):
        seconds = (after.at - before.at).total_seconds()
        if seconds <= 0:
            continue
        timed = after.timed - before.timed
        row = (
            after.at.timestamp(),
            (after.attempts - before.attempts) / seconds,
            (after.failures - before.failures) / seconds,
            (after.latency_ms - before.latency_ms) / timed if timed else None,
        )
        for column, value in zip(columns, row, strict=True):
            column.append(value if value is None else round(value, 3))
    return Response(orjson.dumps(columns), content_type="application/json")
