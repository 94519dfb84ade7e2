"""Outages of connections: takes the reports of workers, pauses the batches that cannot go on, and resumes them.

A pause and a resume go through BatchService as those of any caller do, each with its audit row. Each names the version
that was read: if the batch was changed meanwhile, it is refused, and the sweeper looks again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, bindparam, select

from app import db
from app.db import reading, transaction
from app.domain.connection.circuits import Probe
from app.domain.connection.outages import is_given_up
from app.domain.roles import SYSTEM
from app.domain.times import rfc3339
from app.errors import Refusal
from app.models import IS_WAITING, Batch, StateChangeRequest
from app.services.batch.batch_service import BatchService
from app.services.batch.orders import Order
from app.services.connection import circuits, connections, pauses, targets
from app.services.connection.circuits import CallReport, CircuitRow
from app.services.connection.targets import QueuedTarget

PAUSE, RESUME = "pause", "resume"
MOST_NAMED = 5  # circuits in the reason of a pause
_BATCHES = select(Batch.id, Batch.version, Batch.run, Batch.updated_at, Batch.pause_after_outage_seconds).where(
    Batch.id.in_(bindparam("batch_ids", expanding=True))
)
Record = Callable[[Connection, list[dict[str, Any]]], None]

log = structlog.get_logger()


class Outages:
    """Keeps batches and the circuits of their connections in step."""

    def __init__(self, engine: Engine, batches: BatchService, changed: Callable[[], None]) -> None:
        self._engine = engine
        self._batches = batches
        self._changed = changed

    def report(self, worker: str, reports: Sequence[CallReport], record: Record | None = None) -> list[dict[str, Any]]:
        """Take what a worker reports of its calls, and pause or resume batches; return the connections of the reports.

        `record` is called in the transaction that changes the circuits. Raises Invalid.
        """

        def take() -> tuple[bool, list[dict[str, Any]]]:
            with transaction(self._engine) as connection:
                is_changed = bool(circuits.report(connection, worker, reports))
                rows = connections.shown(connection, [(each.connection, each.model) for each in reports])
                if record:
                    record(connection, rows)
            return is_changed, rows

        is_changed, rows = db.retry_while_locked(take)
        if is_changed:
            self._changed()
            try:
                self.settle()
            except Refusal as refusal:  # the report is taken all the same, and the sweeper looks again
                log.warning("outage_not_settled", reason=refusal.detail)
        return rows

    def settle(self) -> None:
        """Pause the batches that cannot go on for closed connections, and resume those that can go on again."""
        with reading(self._engine) as connection:
            closed = circuits.closed(connection)
            orders = [*_resumes(connection, closed), *(_pauses(connection, closed) if closed else [])]
            busy = _with_own_requests(connection) if orders else set()
        for batch_id, action, order in orders:
            if batch_id not in busy:
                self._batches.decide(batch_id, action, order)


def _with_own_requests(connection: Connection) -> set[int]:
    """Find the locked batches for which a pause or resume of ours waits already."""
    waiting = select(StateChangeRequest.batch_id).where(IS_WAITING, StateChangeRequest.actor == pauses.ACTOR)
    return set(connection.execute(waiting).scalars())


def _order(version: int, reason: str, named: Sequence[dict[str, Any]]) -> Order:
    context = {"reason": reason, "connections": list(named)}
    return Order(actor=pauses.ACTOR, role=SYSTEM, if_version=version, context=context)


def _resumes(connection: Connection, closed: Sequence[CircuitRow]) -> list[tuple[int, str, Order]]:
    still = {row.key for row in closed if row.probe is not Probe.ANSWERED}
    orders = []
    for batch in pauses.paused(connection):
        if batch.auto_resume and (free := sorted(batch.circuits - still)):
            named = [{"connection": name, "model": model or None} for name, model in free]
            reason = f"{_sentence(_name(free[0][0], free[0][1] or None))} can be called again."
            orders.append((batch.batch_id, RESUME, _order(batch.version, reason, named)))
    return orders


def _pauses(connection: Connection, closed: Sequence[CircuitRow]) -> list[tuple[int, str, Order]]:
    by_batch = groupby(targets.queued(connection, at_work=True), key=lambda each: each.batch_id)
    stuck = {batch_id: of_batch for batch_id, found in by_batch if _all_covered(of_batch := list(found), closed)}
    if not stuck:
        return []
    orders, now = [], db.now(connection)
    for batch in connection.execute(_BATCHES, {"batch_ids": sorted(stuck)}).all():
        given_up = [row for row in closed if _is_given_up(batch, row, now)]
        if _all_covered(stuck[batch.id], given_up) and _holds_no_other(connection, batch, stuck[batch.id], closed):
            causes = [row for row in given_up if any(row.covers(each.target) for each in stuck[batch.id])]
            named = [{"connection": row.connection, "model": row.model, "class": row.error_class} for row in causes]
            orders.append((batch.id, PAUSE, _order(batch.version, _reason(causes), named)))
    return orders


def _all_covered(found: Sequence[QueuedTarget], rows: Sequence[CircuitRow]) -> bool:
    return all(any(row.covers(each.target) for row in rows) for each in found)


def _is_given_up(batch: Any, row: CircuitRow, now: datetime) -> bool:
    seconds = batch.pause_after_outage_seconds
    return is_given_up(row.error_class, row.since, row.failed_at, batch.updated_at, seconds, now)


def _holds_no_other(
    connection: Connection, batch: Any, queued: Sequence[QueuedTarget], closed: Sequence[CircuitRow]
) -> bool:
    """Whether workers hold tasks of closed connections alone."""
    held = targets.leased(connection, batch.id, batch.run, queued[0].kind) - {each.number for each in queued}
    if not held:
        return True
    known = targets.of_batch(connection, batch.id)
    return all(number in known and any(row.covers(known[number]) for row in closed) for number in held)


def _reason(causes: Sequence[CircuitRow]) -> str:
    shown = [
        f"{_name(row.connection, row.model)} has been closed since {rfc3339(row.since)}"
        f" ({row.error_class}): {row.reason}"
        for row in causes[:MOST_NAMED]
    ]
    more = f" and {len(causes) - MOST_NAMED} more" if len(causes) > MOST_NAMED else ""
    return _sentence(f"{'; '.join(shown)}{more}")


def _name(connection: str, model: str | None) -> str:
    return f"connection {connection!r}" if model is None else f"model {model!r} of connection {connection!r}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
