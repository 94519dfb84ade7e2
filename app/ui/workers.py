"""The page of workers: when each was last seen, what it holds, how fast it is, what failed with it, and connections."""

from typing import Any

from flask import Blueprint, render_template, request

from app.domain.roles import READERS
from app.services.reads.failed_tasks import MOST_FAILURES
from app.services.reads.workers import MOST_WORKERS, silent_seconds, still_seconds
from app.ui.access import page
from app.ui.query import is_fragment
from app.web.services import services

routes = Blueprint("ui_workers", __name__)
LONGEST_SEARCH = 200
MOST_CONNECTIONS = 200


@page(routes, "GET", "/workers", roles=READERS)
def workers() -> str:
    """Show the workers last seen, those that hold tasks and are silent first; htmx gets the changing part alone."""
    name = request.args.get("name", "").strip()[:LONGEST_SEARCH].replace("\0", "")
    found: dict[str, Any] = services().reads.workers.seen(name or None)
    silent = {each["worker"]: silent_seconds(each, found["at"]) for each in found["workers"]}
    still = {each["worker"]: still_seconds(each, found["at"]) for each in found["workers"]}
    # Those that went silent, then those that only send heartbeats; the others stay in their order.
    found["workers"].sort(key=lambda each: (-(silent[each["worker"]] or 0.0), -(still[each["worker"]] or 0.0)))
    template = "workers/_list.html" if is_fragment() else "workers/workers.html"
    return render_template(
        template,
        **found,
        name=name,
        silent=silent,
        still=still,
        failures=services().reads.workers.failures(),
        connections=services().reads.connections.all()[:MOST_CONNECTIONS],
        most_failures=MOST_FAILURES,
        most_workers=MOST_WORKERS,
    )
