"""The rehearsal of an action (dry run): decides as for the action itself, and changes nothing."""

from sqlalchemy import Connection

from app.domain import transitions
from app.domain.facts import Facts
from app.errors import Refusal
from app.services.batch import breaker
from app.services.batch.batch_rows import BatchRecord, look
from app.services.batch.batch_view import effect_of
from app.services.batch.orders import Answer, Order, accepted, check_version, columns_of, refused
from app.services.estimate.forecast import forecast


def rehearse(connection: Connection, batch_id: int, action: str, order: Order) -> Answer:
    """Answer as the action would, without a lock, and say what it would do. Raises NotFound.

    The answer adds `dry_run`, `effect`, and in `pauses_again` the reason for which the breaker would pause the batch.
    """
    batch, facts = look(connection, batch_id)
    try:
        return {**_accepted(connection, batch, facts, action, order), "dry_run": True}
    except Refusal as refusal:
        return {**refused(refusal, batch, facts), "dry_run": True}


def _accepted(connection: Connection, batch: BatchRecord, facts: Facts, action: str, order: Order) -> Answer:
    check_version(order, batch)
    target = transitions.decide(action, batch.state, facts).target
    columns = columns_of(connection, batch, action, order.context)
    crossing = breaker.crossed(connection, batch.changed(state=target, **columns), facts)
    effect = effect_of(batch.state, target, facts)
    if target in transitions.BEGINS_RUN:
        effect |= forecast(connection, batch.id, batch.run, facts, columns["reuse"])
    answer = accepted(action, batch, batch.changed(state=target), batch, facts)
    return {**answer, "effect": effect, "pauses_again": crossing.reason if crossing else None}
