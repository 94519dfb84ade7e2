"""One action for many batches: a preview of what it would do to each, then the action with an answer for each.

The action carries the version that the page showed of each batch: a batch that changed since then is refused.
"""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from flask import Blueprint, render_template, request

from app.domain.ids import plain_number
from app.domain.roles import OPERATORS
from app.domain.transitions import ACTIONS, BY_TRIGGER, reported_kinds
from app.errors import Refusal, UnknownAction
from app.services.reads.batches import MOST_AT_ONCE
from app.ui.access import order, page
from app.ui.batch.action_form import reason_of
from app.ui.batches.list import ListQuery
from app.ui.query import is_fragment
from app.web.services import services

routes = Blueprint("ui_bulk", __name__)
MOST_SECONDS = 15.0  # for all batches together: each locked batch makes the request wait


class Chosen(NamedTuple):
    """A batch, and the version of it that the page showed."""

    batch_id: int
    version: int

    @classmethod
    def read(cls) -> "list[Chosen]":
        """Read the batches in a form, each as `id:version`; other values are ignored."""
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
    """Show what an action would do to each batch that was chosen, or that the filter matches."""
    action, listed = _action(), services().reads.batches
    chosen = Chosen.read()
    shown = dict(chosen)
    amount = len(chosen)
    ids = list(shown)[:MOST_AT_ONCE]
    if request.form.get("scope") == "filter":
        query = ListQuery.of(request.form)
        counts = listed.counts(query.filter.name)
        amount = sum(counts.values()) if query.filter.state is None else counts[query.filter.state]
        shown, ids = {}, listed.ids(query.filter)
    judged = [{**batch, "shown": shown.get(batch["id"], batch["version"])} for batch in listed.judged(ids, action)]
    return render_template(
        "bulk/_dialog.html" if is_fragment() else "bulk/preview.html",
        action=action,
        judged=judged,
        amount=amount,
        most=MOST_AT_ONCE,
        reports_count=bool(reported_kinds(BY_TRIGGER[action].target)),
    )


@page(routes, "POST", "/batches/bulk/apply", roles=OPERATORS)
def apply() -> str:
    """Request the action for each batch, and show each answer."""
    action, reason = _action(), reason_of(request.form)
    chosen = Chosen.read()[:MOST_AT_ONCE]
    answers = list(_answers(action, reason, chosen))
    return render_template("bulk/answers.html", action=action, answers=answers, left=chosen[len(answers) :])


def _answers(action: str, reason: str, chosen: list[Chosen]) -> Iterator[dict[str, Any]]:
    deadline = time.monotonic() + MOST_SECONDS
    for batch_id, version in chosen:
        if time.monotonic() > deadline:
            return
        new = order(if_version=version, context={"reason": reason} if reason else {})
        try:
            answer = services().batches.decide(batch_id, action, new)
        except Refusal as refusal:
            answer = {"success": False, "reason": refusal.detail}
        yield {**answer, "batch_id": batch_id}
