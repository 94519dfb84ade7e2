"""A decision: one transaction that locks a batch, applies the requests that wait for it, and stores the answer.

The requests come first so that no new request overtakes them. Changes are logged after the commit.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

from app import db
from app.domain.request_status import RequestStatus
from app.errors import NotFound
from app.services.batch import batch_lock, changes, decision_log, request_queue
from app.services.batch.batch_lock import Locked
from app.services.batch.batch_rows import look, not_found
from app.services.batch.changes import ChangeMade
from app.services.batch.locked_batch import LockedBatch
from app.services.batch.orders import Answer, Order


class Decision:
    """A transaction in which batches are decided about, on behalf of `order`. Only a Decision makes a LockedBatch."""

    def __init__(self, connection: Connection, order: Order) -> None:
        self.connection = connection
        self._order = order
        self._locked: list[LockedBatch] = []

    @property
    def changes(self) -> list[ChangeMade]:
        """The changes made so far, batch by batch."""
        return [made for locked in self._locked for made in locked.changes]

    def create(self, values: Mapping[str, Any]) -> LockedBatch:
        """Create a batch with these columns, in the initial state and at version 1."""
        made = changes.write_creation(self.connection, values, self._order)
        locked = self._hold(Locked(made.batch, made.batch.created_at))
        locked.changes.append(made)
        return locked

    def lock(self, batch_id: int) -> LockedBatch:
        """Lock a batch and bring it up to date. Raises NotFound; Locked if another transaction holds the row."""
        row = batch_lock.lock(self.connection, batch_id)
        if row is None:
            raise not_found(self.connection, batch_id)
        return self.bring_up_to_date(self._hold(row))

    def lock_if_free(self, batch_id: int) -> LockedBatch | None:
        """Lock a batch as it is; None if it is archived, unknown, or locked by another transaction."""
        row = batch_lock.lock(self.connection, batch_id, if_free=True)
        return self._hold(row) if row else None

    def lock_archived(self, batch_id: int) -> LockedBatch | None:
        """Lock an archived batch; None if there is no archived batch with this id. Raises Locked."""
        row = batch_lock.lock_archived(self.connection, batch_id)
        return self._hold(row) if row else None

    def bring_up_to_date(self, locked: LockedBatch) -> LockedBatch:
        """Raise the events that a crash left undone, then apply the waiting requests in their order."""
        locked.raise_due_events(Order())
        if not locked.counts.waiting:
            return locked
        for request in request_queue.waiting(self.connection, locked.batch.id):
            status, reason, version = RequestStatus.EXPIRED, request_queue.EXPIRED, locked.batch.version
            if request.expires_at > locked.now:
                order = Order(request.actor, request.role, request.id, request.if_version, context=request.context)
                answer = locked.answer(request.action, order)
                status = RequestStatus.APPLIED if answer["success"] else RequestStatus.REFUSED
                reason, version = answer.get("reason", ""), answer["version"]
            request_queue.finish(self.connection, request.seq, status, reason or None, version, locked.now)
        return locked

    def refuse_requests_if_gone(self, batch_id: int) -> bool:
        """Refuse the requests that wait for a batch that no longer exists; return False if the batch exists."""
        try:
            look(self.connection, batch_id)
            return False
        except NotFound as gone:
            now = db.now(self.connection)
            for request in request_queue.waiting(self.connection, batch_id):
                request_queue.finish(self.connection, request.seq, RequestStatus.REFUSED, gone.detail, None, now)
            return True

    def record(self, answer: Answer) -> Answer:
        """Store the answer for the order's Idempotency-Key, in this transaction; return it."""
        if self._order.record:
            self._order.record(self.connection, answer)
        return answer

    def _hold(self, row: Locked) -> LockedBatch:
        locked = LockedBatch(self.connection, row)
        self._locked.append(locked)
        return locked


@contextmanager
def deciding(engine: Engine, order: Order) -> Iterator[Decision]:
    """Open a decision: committed at the end, or rolled back by any exception."""
    began_ns = time.time_ns()
    with changes.lost_writes_refused(), db.transaction(engine) as connection:
        decision = Decision(connection, order)
        yield decision
    decision_log.log_changes(decision.changes, began_ns)
