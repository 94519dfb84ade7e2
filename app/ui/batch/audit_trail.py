"""The audit trail of a batch as a timeline, newest first: filtered by kind and actor, in pages, and as a download."""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, render_template, request

from app.domain.roles import READERS
from app.domain.transitions import Kind
from app.errors import NotFound
from app.ui.access import page
from app.ui.batch.overview import of_batch
from app.ui.query import cursor, is_fragment
from app.web.json_lines import stream_lines
from app.web.services import services

routes = Blueprint("ui_audit_trail", __name__)
LONGEST_ACTOR = 200
FOLDED_SECONDS = 60.0
_SAME = ("kind", "trigger", "actor", "role", "from_state", "to_state", "reason")


def _filter() -> tuple[Kind | None, str]:
    """Read the filter of the address; an unknown kind is ignored."""
    kind = request.args.get("kind", "")
    return (Kind(kind) if kind in set(Kind) else None), request.args.get("actor", "").strip()[:LONGEST_ACTOR]


def folded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put equal edits by one actor within FOLDED_SECONDS into one row: the newest, with the `others`."""
    found: list[dict[str, Any]] = []
    for row in rows:
        newest = found[-1] if found else None
        if (
            newest
            and row["kind"] == Kind.EDIT
            and all(newest[each] == row[each] for each in _SAME)
            and _near(newest, row)
        ):
            newest["others"].append(row)
        else:
            found.append({**row, "others": []})
    return found


def _near(newest: dict[str, Any], row: dict[str, Any]) -> bool:
    age = datetime.fromisoformat(newest["at"]) - datetime.fromisoformat(row["at"])
    return age.total_seconds() <= FOLDED_SECONDS


def timeline_of(batch_id: int) -> dict[str, Any]:
    """Read the page of the timeline that the address names. Raises NotFound."""
    kind, actor = _filter()
    before = cursor("before")
    rows, older = services().reads.audit.page(batch_id, after=before, kind=kind, actor=actor, newest_first=True)
    return {"batch_id": batch_id, "rows": folded(rows), "older": older, "kind": kind, "actor": actor, "before": before}


@page(routes, "GET", "/batches/<ident:batch_id>/audit", roles=READERS)
def timeline(batch_id: int) -> str:
    """Show the timeline, also that of an archived batch, which has no other page."""
    facts = {"timeline": timeline_of(batch_id), "kinds": list(Kind)}
    if is_fragment():
        return render_template("batch/_audit_trail.html", **facts)
    try:
        head = of_batch(batch_id, "audit")
    except NotFound:
        return render_template("batch/audit_of_archived.html", **facts)
    return render_template("batch/audit_trail.html", **facts, **head)


@page(routes, "GET", "/batches/<ident:batch_id>/audit.jsonl", roles=READERS)
def download(batch_id: int) -> Response:
    """Stream the timeline, a JSON line for each change."""
    return stream_lines(services().reads.audit.lines(batch_id, *_filter()), f"batch-{batch_id}-audit.jsonl")
