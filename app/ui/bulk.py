"""One action for many batches: what it would do to each, then the asking, each batch answered for itself.

Each is asked with the version that was shown of it: one that changed since is left alone, and says so.
"""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from flask import Blueprint, render_template, request

from app.domain.ids import plain_number
from app.domain.roles import OPERATORS
from app.domain.transitions import ACTIONS
from app.errors import Refusal, UnknownAction
from app.services.reads.batches import MOST_AT_ONCE
from app.ui.access import order, page
from app.ui.batches import Asked
from app.web.services import services

routes = Blueprint("ui_bulk", __name__, template_folder="templates")
PATIENCE_SECONDS = 15.0  # for all of them: locked batches take their time, one after the other


class Chosen(NamedTuple):
    """A batch, and the version that was shown of it."""

    batch_id: int
    version: int

    @classmethod
    def read(cls) -> "list[Chosen]":
        """Read the batches that a form names, each as `id:version`; what is none is left out."""
        pairs = (each.partition(":") for each in request.form.getlist("batch"))
        numbers = ((plain_number(batch_id), plain_number(version)) for batch_id, _, version in pairs)
        return [cls(batch_id, version) for batch_id, version in numbers if batch_id is not None and version is not None]


def _action() -> str:
    action = request.form.get("action", "")
    if action not in ACTIONS:
        raise UnknownAction(action, ACTIONS)
    return action


@page(routes, "POST", "/batches/bulk", roles=OPERATORS)
def preview() -> str:
    """Show what an action would do to each of the batches that were chosen, or that a filter takes."""
    action, listed = _action(), services().batch_list
    chosen = Chosen.read()
    shown = dict(chosen)
    amount = len(chosen)
    ids = list(shown)[:MOST_AT_ONCE]
    if request.form.get("scope") == "filter":
        asked = Asked.of(request.form)
        counts = listed.counts(asked.filter.name)
        amount = sum(counts.values()) if asked.filter.state is None else counts[asked.filter.state]
        shown, ids = {}, listed.ids(asked.filter)
    judged = [{**batch, "shown": shown.get(batch["id"], batch["version"])} for batch in listed.judged(ids, action)]
    return render_template("bulk/preview.html", action=action, judged=judged, amount=amount, most=MOST_AT_ONCE)


@page(routes, "POST", "/batches/bulk/apply", roles=OPERATORS)
def apply() -> str:
    """Ask for the action of each batch, and show each answer."""
    action, reason = _action(), request.form.get("reason", "").strip()
    chosen = Chosen.read()[:MOST_AT_ONCE]
    answers = list(_answers(action, reason, chosen))
    return render_template("bulk/answers.html", action=action, answers=answers, left=chosen[len(answers) :])


def _answers(action: str, reason: str, chosen: list[Chosen]) -> Iterator[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    for batch_id, version in chosen:
        if time.monotonic() > deadline:
            return
        asked = order(if_version=version, context={"reason": reason} if reason else {})
        try:
            answer = services().batches.decide(batch_id, action, asked)
        except Refusal as refusal:
            answer = {"success": False, "reason": refusal.detail}
        yield {**answer, "batch_id": batch_id}
