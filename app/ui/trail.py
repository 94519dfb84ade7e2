"""The audit trail of a batch as a timeline: newest first, by kind and by actor, and as a download."""

from typing import Any

from flask import Blueprint, Response, render_template, request

from app.domain.roles import READERS
from app.domain.transitions import Kind
from app.ui.access import page
from app.ui.query import cursor, is_fragment
from app.web.json_lines import stream_lines
from app.web.services import services

routes = Blueprint("ui_trail", __name__, template_folder="templates")


def _asked() -> tuple[Kind | None, str]:
    kind = request.args.get("kind", "")
    return (Kind(kind) if kind in set(Kind) else None), request.args.get("actor", "").strip()[:200]


def trail_of(batch_id: int) -> dict[str, Any]:
    """Read the page of the timeline that the address asks for."""
    kind, actor = _asked()
    before = cursor("before")
    rows, older = services().batch_page.trail(batch_id, kind, actor, before)
    return {"batch_id": batch_id, "rows": rows, "older": older, "kind": kind, "actor": actor, "before": before}


@page(routes, "GET", "/batches/<ident:batch_id>/audit", roles=READERS)
def audit(batch_id: int) -> str:
    """Show the timeline; of an archived batch too."""
    template = "batch/_trail.html" if is_fragment() else "batch/trail.html"
    return render_template(template, trail=trail_of(batch_id), kinds=list(Kind))


@page(routes, "GET", "/batches/<ident:batch_id>/audit.jsonl", roles=READERS)
def download(batch_id: int) -> Response:
    """Stream the timeline, one JSON line a change."""
    rows = services().batch_page.trail_lines(batch_id, *_asked())
    return stream_lines(rows, f"batch-{batch_id}-audit.jsonl")
