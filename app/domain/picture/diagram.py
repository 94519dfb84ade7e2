"""The state machine as a dict for the API, as Mermaid, and as SVG: all of them are derived from the table."""

from typing import Any

from app.domain import transitions
from app.domain.picture.svg import as_svg as as_svg
from app.domain.transitions import (
    ENDS_OF_RUN,
    INITIAL,
    TABLE,
    BatchState,
    Kind,
    Transition,
    leased_kinds,
    reported_kinds,
)


def rule(transition: Transition) -> str | None:
    """Give the guard's rule as a phrase, or None if there is no guard."""
    return " ".join((transition.guard.__doc__ or "").split()) or None


def _state(state: BatchState) -> dict[str, Any]:
    return {
        "name": state.value,
        "initial": state is INITIAL,
        "begins_run": state in transitions.BEGINS_RUN,
        "ends_run": state in ENDS_OF_RUN,
        "clears_outcome": state in transitions.CLEARS_OUTCOME,
        "sets_time": transitions.ENTRY_TIMES.get(state),
        "leases": leased_kinds(state),
        "reports": reported_kinds(state),
        "actions": [row.trigger for row in TABLE if state in row.sources and row.kind is Kind.ACTION],
        "events": [row.trigger for row in TABLE if state in row.sources and row.kind is Kind.EVENT],
    }


def _transition(row: Transition) -> dict[str, Any]:
    return {
        "trigger": row.trigger,
        "kind": row.kind.value,
        "from": [source.value for source in row.sources],
        "to": row.target.value,
        "guard": rule(row),
        "meaning": row.meaning,
    }


def as_dict() -> dict[str, Any]:
    """Describe states and transitions in the table's order, in plain JSON types."""
    return {
        "initial": INITIAL.value,
        "states": [_state(state) for state in BatchState],
        "transitions": [_transition(row) for row in TABLE],
    }


def as_mermaid() -> str:
    """Write the table as a Mermaid state diagram; events are marked."""
    lines = ["stateDiagram-v2", "    direction LR", f"    [*] --> {INITIAL}"]
    for row in TABLE:
        note = " (event)" if row.kind is Kind.EVENT else ""
        lines += [f"    {source} --> {row.target}: {row.trigger}{note}" for source in row.sources]
    return "\n".join(lines) + "\n"
