"""The breaker: finds the limit of a batch that its present run has crossed. LockedBatch then pauses the batch."""

from sqlalchemy import Connection

from app.domain import limits, transitions
from app.domain.facts import Facts
from app.domain.limits import Crossing, Limits
from app.domain.roles import SYSTEM
from app.services.batch.batch_rows import BatchRecord
from app.services.task import usage_counts

ACTOR = f"{SYSTEM}:breaker"
ACTION = "pause"
_NO_LIMITS = Limits()


def crossed(connection: Connection, batch: BatchRecord, facts: Facts) -> Crossing | None:
    """Find the limit that a batch has crossed; None if there is none, or if the batch cannot be paused now.

    Executes a statement only for a limit of failures, which is counted by connection; the facts hold all else.
    """
    allowed = Limits(batch.max_cost_nanos, batch.max_tokens, batch.max_failure_rate)
    if allowed == _NO_LIMITS or ACTION not in transitions.allowed(batch.state, facts):
        return None
    found = limits.crossed(facts.usage, allowed)
    if found or allowed.max_failure_rate is None:
        return found
    return limits.crossed(facts.usage, allowed, usage_counts.by_connection(connection, batch.id, batch.run))


def is_unsettled(connection: Connection, batch: BatchRecord, facts: Facts) -> bool:
    """Check whether the service has to act on a batch by itself: an event is due, or a limit is crossed."""
    due = transitions.due(batch.state, facts)
    return due is not None or crossed(connection, batch, facts) is not None
