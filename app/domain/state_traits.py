"""What the constants beside the transition table say of each state, gathered by state.

For pictures, docs and the API; the constants themselves stand in `transitions`.
"""

from app.domain import transitions
from app.domain.transitions import BatchState

ENDS_OF_RUN = tuple(state for state in BatchState if transitions.ENTRY_TIMES.get(state) == "finished_at")


def leased_kinds(state: BatchState) -> list[str]:
    """The kinds of task that are handed out while a batch is in `state`."""
    return [kind for kind, states in transitions.LEASES_IN.items() if state in states]


def reported_kinds(state: BatchState) -> list[str]:
    """The kinds of task whose reports count while a batch is in `state`."""
    return [kind for kind, states in transitions.REPORTS_IN.items() if state in states]


def tone(state: BatchState) -> str:
    """The colour of a state, by what it means: work, hold, good, bad or plain."""
    if leased_kinds(state):
        return "work"
    if reported_kinds(state):
        return "hold"
    if state not in ENDS_OF_RUN:
        return "plain"
    return "bad" if state is transitions.FAILED else "good"
