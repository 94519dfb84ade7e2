"""The page of one batch: how it stands, its figures, its failures by cause, its chart, its workers and its states."""

from collections.abc import Hashable
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for

from app.domain.leases import TaskStatus
from app.domain.picture import diagram
from app.domain.roles import READERS
from app.domain.transitions import ADD_DOCUMENTS, main_way
from app.services.reads.batch_page import Head, Present, Pulse
from app.services.reads.batches import Filter, Sort
from app.ui.access import may_operate, page
from app.ui.batch.action_words import offers
from app.ui.batch.chart import chart_of, samples_of
from app.ui.batch.standing import standing_of
from app.ui.fragments import fragments, mark_of
from app.web.services import services

routes = Blueprint("ui_batch", __name__)
MOST_CAUSES = 4  # on the overview; the page of failures has all
MOST_WORKERS = 6
MOST_TAB = 20  # characters


def head_facts(head: Head, tab: str) -> dict[str, Any]:
    """Give what the head of a batch's pages shows; `tab` is the page that is open."""
    return {
        "batch": head.batch,
        "batch_id": head.batch["id"],
        "offers": offers(head.actions),
        "tab": tab,
        "addable": head.batch["state"] in ADD_DOCUMENTS.sources and not head.batch["input"]["ready_tasks"],
    }


def of_batch(batch_id: int, tab: str) -> dict[str, Any]:
    """Read what the head of a batch's pages shows. Raises NotFound."""
    return head_facts(services().reads.batch_page.head(batch_id), tab)


@page(routes, "GET", "/batches/<ident:batch_id>", roles=READERS)
def show(batch_id: int) -> str:
    """Show a batch."""
    return whole_page(batch_id)


def whole_page(batch_id: int, **more: Any) -> str:
    """Render a batch's page; `more` is the answer to an action. Raises NotFound."""
    now = services().reads.batch_page.present(batch_id)
    # Without the latencies the content is not that of a fragment: the first one that is fetched has them.
    mark = mark_of(_shown("now", now.pulse), now.pulse.moved) if now.latencies is not None else ""
    return render_template("batch/page.html", **{**_present(now), "mark": mark, **more})


def page_with_dialog(batch_id: int, **dialog: Any) -> str:
    """Render a batch's page with the dialog of an action open; how the batch stands is loaded after it."""
    return render_template("batch/page.html", **of_batch(batch_id, "overview"), **dialog)


def _present(now: Present) -> dict[str, Any]:
    chart = chart_of(samples_of(now.moments), [_seconds(each) for each in now.changes])
    return {
        **head_facts(now, "overview"),
        "now": now,
        "standing": standing_of(now),
        "chart": chart,
        "marked": [each for each in now.changes if chart and chart.starts_at <= _seconds(each) <= chart.ends_at],
        "way": main_way(now.batch["state"]),
        "most_causes": MOST_CAUSES,
        "most_workers": MOST_WORKERS,
    }


def _seconds(change: dict[str, Any]) -> float:
    return datetime.fromisoformat(change["at"]).timestamp()


def _shown(fragment: str, pulse: Pulse) -> Hashable:
    """Name what a fragment shows of a batch and must never show late."""
    return fragment, request.script_root, pulse.seen.batch.id, pulse.changed, may_operate()


@page(routes, "GET", "/batches/<ident:batch_id>/now", roles=READERS)
def now(batch_id: int) -> Response:
    """Show the part of a batch's page that changes, and its head."""
    reads = services().reads.batch_page
    pulse = reads.pulse(batch_id)

    def render(mark: str) -> str:
        return render_template("batch/_now_fragment.html", **_present(reads.present_of(pulse)), mark=mark)

    return fragments().answer(_shown("now", pulse), pulse.moved, render)


@page(routes, "GET", "/batches/<ident:batch_id>/head", roles=READERS)
def head(batch_id: int) -> Response:
    """Show the head of a batch's pages, as it is now."""
    reads = services().reads.batch_page
    pulse = reads.pulse(batch_id)
    tab = request.args.get("tab", "")[:MOST_TAB]

    def render(mark: str) -> str:
        return render_template("batch/_head_fragment.html", **head_facts(reads.head_of(pulse), tab), mark=mark)

    return fragments().answer(_shown(f"head of {tab}", pulse), pulse.moved, render)


@page(routes, "GET", "/batches/<ident:batch_id>/beside", roles=READERS)
def beside(batch_id: int) -> Any:
    """Go to the batch with the number before, or with `?way=after` to the next one; stay where there is none."""
    order = Sort.OLDEST if request.args.get("way") == "after" else Sort.NEWEST
    found, _ = services().reads.batches.page(Filter(), order, after=batch_id, limit=1)
    return redirect(url_for("ui_batch.show", batch_id=found[0]["id"] if found else batch_id), 303)


@page(routes, "GET", "/batches/<ident:batch_id>/failures", roles=READERS)
def failures(batch_id: int) -> str:
    """Show why tasks of the present run failed, by cause."""
    found = services().reads.batch_page.failures(batch_id)
    return render_template(
        "batch/failures.html",
        **head_facts(found, "failures"),
        causes=found.causes,
        failed_status=str(TaskStatus.FAILED),
    )


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
