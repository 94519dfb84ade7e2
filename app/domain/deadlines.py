"""The deadline of a batch: a run that is not finished by then fails. A pause moves it by the length of the pause."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.domain.transitions import BEGINS_RUN, BatchState

PAUSED = BatchState.PAUSED


def current(state: BatchState, deadline_at: datetime | None, paused_at: datetime | None, now: datetime) -> Any:
    """Return the deadline as it is at time `now`; None if there is none. While PAUSED it moves with the time."""
    if deadline_at is None or paused_at is None or state is not PAUSED:
        return deadline_at
    return deadline_at + (now - paused_at)


def is_over(state: BatchState, deadline_at: datetime | None, now: datetime) -> bool:
    """Say whether the deadline has passed; never while PAUSED."""
    return deadline_at is not None and state is not PAUSED and deadline_at <= now


def columns_on_entry(batch: Any, target: BatchState, now: datetime) -> Mapping[str, Any]:
    """Make the columns that change when a batch enters `target`: a new run has no deadline that is over."""
    if target is PAUSED:
        return {"paused_at": now}
    deadline_at = current(batch.state, batch.deadline_at, batch.paused_at, now)
    if target in BEGINS_RUN and is_over(target, deadline_at, now):
        deadline_at = None
    return {"paused_at": None, "deadline_at": deadline_at}
