"""The keys of an action's context that change the batch: read and checked here, written together with the action.

All other keys of a context are the caller's own. `PARSERS` has the actions that read keys.
"""

from collections.abc import Callable, Mapping
from typing import Any

from app.domain import reuse
from app.domain.money import MOST_COST, nanos
from app.domain.times import time_of
from app.domain.usage import MOST_TOKENS
from app.errors import Invalid

RUN_WHEN_STAGED = "run_when_staged"  # kept with the audit row of the action
Context = Mapping[str, Any]
Columns = dict[str, Any]  # of the batch's row
Reader = Callable[[Context], Columns]


def columns_of(action: str, context: Context) -> Columns:
    """Read the columns that `action` sets with this context. Raises Invalid, naming the key."""
    return {name: value for read in PARSERS.get(action, ()) for name, value in read(context).items()}


def limits_of(context: Context) -> Columns:
    """Read new limits: null removes a limit, and a limit that is not named stays as it is."""
    columns: Columns = {}
    if "max_cost" in context:
        columns["max_cost_nanos"] = nanos(_number(context, "max_cost", MOST_COST))
    if "max_tokens" in context:
        columns["max_tokens"] = _whole(context, "max_tokens", MOST_TOKENS)
    if "max_failure_rate" in context:
        columns["max_failure_rate"] = _number(context, "max_failure_rate", 1)
    return columns


def reuse_of(context: Context) -> Columns:
    """Read which earlier results a new run reuses."""
    runs_when_staged(context)
    return {"reuse": reuse.parse(context)}


def runs_when_staged(context: Context) -> bool:
    """Whether the run is to begin as soon as it is staged. Raises Invalid."""
    wanted = context.get(RUN_WHEN_STAGED, False)
    if not isinstance(wanted, bool):
        raise refused(RUN_WHEN_STAGED, "has to be true or false")
    return wanted


def deadline_of(context: Context) -> Columns:
    """Read a new deadline: null removes it, and without the key it stays as it is."""
    if "deadline_at" not in context:
        return {}
    value = context["deadline_at"]
    at = None if value is None else time_of(value) if isinstance(value, str) else None
    if at is None and value is not None:
        raise refused("deadline_at", "has to be a time such as 2026-11-26T05:56:01Z, or null for none")
    return {"deadline_at": at}


# action -> the functions that read its context
PARSERS: dict[str, tuple[Reader, ...]] = {
    "stage": (reuse_of, deadline_of),
    "run": (deadline_of,),
    "restage": (reuse_of, deadline_of),
    "resume": (limits_of, deadline_of),
}


def refused(key: str, objection: str) -> Invalid:
    """Make the refusal of one key of a context."""
    return Invalid(f"context.{key} {objection}.", errors={"context": {key: [objection]}})


def _number(context: Context, key: str, most: float) -> float | None:
    value = context[key]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise refused(key, f"has to be a number from 0 to {most:g}, or null for no limit")
    return float(value)


def _whole(context: Context, key: str, most: int) -> int | None:
    value = context[key]
    if value is None:
        return None
    whole = not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value <= most and value % 1 == 0
    if not whole:
        raise refused(key, f"has to be a whole number from 0 to {most}, or null for no limit")
    return int(value)
