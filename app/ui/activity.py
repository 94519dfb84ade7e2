"""The page of activity: the changes of all batches, newest first, by actor, trigger, state and time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, render_template, request

from app.domain.ids import plain_number
from app.domain.roles import READERS
from app.domain.transitions import TRIGGERS, BatchState
from app.services.reads.audit import ActivityFilter, Place
from app.ui.access import page
from app.ui.query import is_fragment
from app.web.services import services

routes = Blueprint("ui_activity", __name__)
LONGEST_ACTOR = 200
FIELDS = ("actor", "trigger", "state", "hours", "day")
HOURS = {"1": "last hour", "12": "last 12 hours", "24": "last 24 hours", "168": "last 7 days"}


@page(routes, "GET", "/activity", roles=READERS)
def activity() -> str:
    """Show a page of changes; unknown values of the filter are ignored."""
    wanted, before = _filter(), Place.read(request.args.get("before", ""))
    rows, further = services().reads.audit.activity(wanted, before)
    return render_template(
        "activity/_list.html" if is_fragment() else "activity/activity.html",
        rows=rows,
        before=before and str(before),
        older=further and str(further),
        chosen={
            name: value for name in ("actor", "trigger", "state", "hours", "day") if (value := request.args.get(name))
        },
        triggers=TRIGGERS,
        states=list(BatchState),
        hours=HOURS,
    )


def _filter() -> ActivityFilter:
    chosen: Any = request.args
    state, trigger = chosen.get("state", ""), chosen.get("trigger", "")
    since, until = _times(chosen.get("hours", ""), chosen.get("day", ""))
    return ActivityFilter(
        actor=chosen.get("actor", "").strip()[:LONGEST_ACTOR],
        trigger=trigger if trigger in TRIGGERS else "",
        state=BatchState(state) if state in set(BatchState) else None,
        since=since,
        until=until,
    )


def _times(hours: str, day: str) -> tuple[datetime | None, datetime | None]:
    """Read the last hours, or a day in UTC."""
    try:
        begins = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
        return begins, begins + timedelta(days=1)
    except (ValueError, OverflowError):
        pass
    amount = plain_number(hours, 4)
    return (services().clock.now() - timedelta(hours=amount), None) if amount else (None, None)
