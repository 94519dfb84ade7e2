"""How a batch stands, for the sentence at the top of its page: which sentence it is, and the facts in it.

The words are in batch/_standing.html. Which sentence it is follows from facts that the service gives; no rule is here.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.domain.failures import CANCELLED
from app.domain.leases import stands_still
from app.domain.money import rounded_up
from app.domain.picture.style import tone
from app.domain.roles import SYSTEM
from app.domain.transitions import BEGINS_RUN, ENDS_OF_RUN, BatchState, leased_kinds
from app.services.batch.breaker import ACTOR as BREAKER
from app.services.reads.batch_page import Present

ROOM = 1.1  # of the cost at the end: the limit that is offered leaves this much room


class Standing(NamedTuple):
    """The sentence: its name, its tone (a class of the style sheet), and what is in it beside the batch's own facts."""

    name: str
    tone: str
    change: Mapping[str, Any] | None = None  # the change that led here
    silent: Any = None  # a worker that holds tasks and is not heard of
    new_limit: float | None = None
    heard: Any = None  # a worker that holds tasks and sends heartbeats, of a batch of which nothing is answered


def standing_of(now: Present) -> Standing:
    """Find the sentence that says how a batch stands."""
    state, change = now.batch["state"], now.last_change
    if state in ENDS_OF_RUN:
        return _ended(now, change)
    if leased_kinds(state):
        return _at_work(now, change)
    if change and change["actor"] == BREAKER:
        is_cost = change["context"].get("limit") == "max_cost" and now.rest["cost"] is not None
        new_limit = rounded_up(ROOM * ((now.batch["usage"]["cost"] or 0.0) + now.rest["cost"])) if is_cost else None
        return Standing("limit", tone(state), change, new_limit=new_limit)
    if state is BatchState.PAUSED:
        return Standing("held", tone(state), change)
    return Standing("ready" if state is BatchState.STAGED else "saved", tone(state), change)


def _ended(now: Present, change: Mapping[str, Any] | None) -> Standing:
    failure = now.batch["failure"]
    if failure is None:
        failed = now.batch["progress"]["analysis"]["failed"]
        return Standing("done_with_failures" if failed else "done", "hold" if failed else "good", change)
    is_asked = change is not None and change["actor"] != SYSTEM and failure["code"] == CANCELLED
    return Standing("cancelled" if is_asked else "failed", "bad", change)


def _at_work(now: Present, change: Mapping[str, Any] | None) -> Standing:
    state = now.batch["state"]
    silent = next((each for each in now.workers if each.is_silent), None)
    heard = next((each for each in now.workers if each.is_heard), None)
    still = (now.still_seconds, now.batch["options"]["lease_seconds"])
    if state in BEGINS_RUN:
        return Standing("reading", tone(state), change, silent)
    if now.batch.get("waiting_for") and not now.workers and not now.rate:
        return Standing("waiting", "hold", change)
    if now.open_calls and stands_still(*still, heard is not None):
        return Standing("stuck", "bad" if silent else "hold", change, silent)
    if now.open_calls and stands_still(*still):
        return Standing("slow", tone(state), change, silent, heard=heard)
    return Standing("running", tone(state), change, silent)
