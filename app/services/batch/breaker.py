"""The breaker: which limit of a batch its present run has crossed. LockedBatch pauses what it finds."""

from sqlalchemy import Connection

from app.domain import limits, transitions
from app.domain.facts import Facts
from app.domain.limits import Crossing, Limits
from app.domain.roles import SYSTEM
from app.services.batch.batch_rows import BatchRecord
from app.services.task import usage_counts

ACTOR = f"{SYSTEM}:breaker"
ACTION = "pause"


def crossed(connection: Connection, batch: BatchRecord, facts: Facts) -> Crossing | None:
    """Say which limit is crossed of a batch that may be paused, or None.

    A statement is needed for a limit of failures alone, which go by connection: all else is in the facts.
    """
    allowed = Limits(batch.max_cost_nanos, batch.max_tokens, batch.max_failure_rate)
    if allowed == Limits() or ACTION not in transitions.allowed(batch.state, facts):
        return None
    found = limits.crossed(facts.usage, allowed)
    if found or allowed.max_failure_rate is None:
        return found
    return limits.crossed(facts.usage, allowed, usage_counts.by_connection(connection, batch.id, batch.run))


def is_unsettled(connection: Connection, batch: BatchRecord, facts: Facts) -> bool:
    """Whether the service itself has something to decide on a batch: an event is due, or a limit is crossed."""
    due = transitions.due(batch.state, facts)
    return due is not None or crossed(connection, batch, facts) is not None
