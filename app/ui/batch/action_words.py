"""How an action is offered: its verb, how its button looks (the table decides), and the words of the other button."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.domain.transitions import ACTIONS, BY_TRIGGER, ENDS_OF_RUN, INITIAL, leased_kinds

VERBS = {each: each.capitalize() for each in ACTIONS} | {"restage": "Run again"}


class Offer(NamedTuple):
    """An action as a button."""

    action: str
    verb: str
    looks: str  # primary, danger or nothing: see the style sheet
    declines: str
    meaning: str
    reason: str  # why it is not allowed now; empty if it is

    @property
    def allowed(self) -> bool:
        return not self.reason


def offers(judged: Sequence[Mapping[str, Any]]) -> list[Offer]:
    """Offer the actions, the primary one first, those that end something last."""
    found = [offer(each["action"], "" if each["allowed"] else each["reason"]) for each in judged]
    return sorted(found, key=lambda each: ("primary", "", "danger").index(each.looks))


def offer(action: str, reason: str = "") -> Offer:
    """Offer an action; `reason` is why it is not allowed now."""
    target = BY_TRIGGER[action].target
    ends = target is INITIAL or target in ENDS_OF_RUN
    looks = "primary" if leased_kinds(target) else "danger" if ends else ""
    declines = "Keep it running" if target in ENDS_OF_RUN else "Not now"
    return Offer(action, VERBS[action], looks, declines, BY_TRIGGER[action].meaning, reason)
