"""BatchService decides what state a batch is in: callers request changes, workers report, nobody else writes a state.

What happens to every change, in this order: lock the row (or queue the request), apply the requests that wait already,
compare the version, ask the table, ask the guard, write the row by its version, write the audit row, raise the events
that are due, commit. Everything here is one transaction: if the process dies before the commit, nothing has changed.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine

from app import db
from app.db import reading
from app.domain import action_contexts, transitions
from app.domain.leases import Outcome
from app.domain.transitions import ACTIONS, BatchState
from app.errors import Invalid, Locked, NotFound, Refusal, UnknownAction
from app.services.batch import breaker, decision_log, request_queue
from app.services.batch.batch_rows import look, standing
from app.services.batch.decision import Decision, deciding
from app.services.batch.orders import Answer, Order, refused
from app.services.batch.rehearsal import rehearse
from app.services.queue import reports
from app.services.queue.reports import Report, Verdict
from app.services.queue.worker_sightings import Sightings


class _Stands(NamedTuple):
    """How a batch stands, and whether the service has to act on it by itself."""

    batch_id: int
    state: BatchState
    is_unsettled: bool


def _stands(connection: Connection, batch_id: int) -> _Stands | None:
    """Look how a batch stands; None if it is archived or unknown."""
    try:
        batch, facts = look(connection, batch_id)
    except NotFound:
        return None
    return _Stands(batch_id, batch.state, breaker.is_unsettled(connection, batch, facts))


def _stand_now(connection: Connection, verdicts: Sequence[Verdict]) -> dict[int, _Stands | None]:
    """Look how the batches stand that reports may have unsettled, after the commit of these reports.

    That has a new snapshot: if two reporters each saw the other's task open, the later one sees no open task.
    """
    seen = {verdict.batch_id: verdict for verdict in verdicts if verdict.settles and verdict.batch_id is not None}
    return {batch_id: _stands_after(connection, batch_id, verdict) for batch_id, verdict in seen.items()}


def _stands_after(connection: Connection, batch_id: int, verdict: Verdict) -> _Stands | None:
    """Look how a batch stands after a report; after most reports it is settled, and few columns show that."""
    if not verdict.limited and verdict.batch_state not in transitions.BEGINS_RUN:
        found = standing(connection, batch_id)
        if found is None or not found[1]:
            return found and _Stands(batch_id, found[0], False)
    return _stands(connection, batch_id)


class BatchService:
    """Decides and writes the states of batches, on an engine of `app.db.make_engine`."""

    def __init__(self, engine: Engine, request_ttl_s: int = 60, sightings: Sightings | None = None) -> None:
        self._engine = engine
        self._sightings = sightings or Sightings(engine)
        self._request_ttl_s = request_ttl_s

    def request_state_change(self, batch_id: int, requested_action: str, context: dict[str, Any]) -> Answer:
        """Decide an action on a batch and carry it out.

        `context` holds `actor`, `role`, `request_id`, `if_version`, `dry_run` and the caller's own keys.
        Returns `success` True with the change, False with `code` and `reason`, or None with `request_id` and
        `queue_position` when the batch is locked and the request waits. Refusals are returned, not raised.
        """
        try:
            return self.decide(batch_id, requested_action, Order.of(context))
        except Refusal as refusal:
            return refused(refusal)

    def can_transition(self, batch_id: int, to_action: str) -> tuple[bool, str]:
        """Check whether an action is allowed now: True and '', or False and the reason."""
        try:
            with reading(self._engine) as connection:
                batch, facts = look(connection, batch_id)
        except NotFound as refusal:
            return False, refusal.detail
        return transitions.can(to_action, batch.state, facts)

    def handle_task_completion(self, task_id: str, result: dict[str, Any]) -> None:
        """Take a worker's report of a completed task: `result` is `{"lease_token", "result"}`.

        Raises NotFound, Invalid, or ReportRefused (the result is kept if its token was a token of this task).
        """
        self._take_one(Report.of(task_id, Outcome.COMPLETED, result))

    def handle_task_failure(self, task_id: str, error: dict[str, Any]) -> None:
        """Take a worker's report of a failed task: `error` is the body of contract 5's `fail`. Raises as above."""
        self._take_one(Report.of(task_id, Outcome.FAILED, error))

    def actions(self, batch_id: int) -> list[dict[str, Any]]:
        """List every action: whether it is allowed now, and the reason if it is not. Raises NotFound."""
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
        judged = ((action, *transitions.can(action, batch.state, facts)) for action in ACTIONS)
        return [{"action": action, "allowed": ok, "reason": reason or None} for action, ok, reason in judged]

    def decide(self, batch_id: int, action: str, order: Order) -> Answer:
        """Decide as `request_state_change` does, for an order. Raises Busy if the request queue is full."""
        began_ns = time.time_ns()
        try:
            if action not in ACTIONS:
                raise UnknownAction(action, ACTIONS, is_event=action in transitions.EVENTS)
            action_contexts.columns_of(action, order.context)  # a malformed request is refused, and never queued
            answer = (self._rehearse if order.dry_run else self._decide)(batch_id, action, order)
        except (UnknownAction, Invalid, NotFound) as refusal:
            answer = refused(refusal)
        decision_log.log_answer(batch_id, action, order, answer, began_ns)
        return answer

    def deciding(self, order: Order) -> AbstractContextManager[Decision]:
        """Open a transaction in which batches are created or edited, on behalf of `order`."""
        return deciding(self._engine, order)

    def report(self, taken: Iterable[Report]) -> tuple[list[Verdict], dict[int, BatchState]]:
        """Take workers' reports, each judged by itself, in order; then raise the events and pauses that are due.

        Returns a verdict for each report, and the state of each batch afterwards.
        """
        began_ns, reports_taken = time.time_ns(), list(taken)
        verdicts, stands = db.retry_while_locked(
            lambda: db.write_then_read(self._engine, lambda c: reports.receive(c, reports_taken), _stand_now)
        )
        judged = list(zip(reports_taken, verdicts, strict=True))
        decision_log.count_reports(judged, began_ns)
        self._sightings.reported((verdict.worker, report.outcome) for report, verdict in judged)
        states = {v.batch_id: v.batch_state for v in verdicts if v.batch_id is not None and v.batch_state}
        return verdicts, {i: (self._settle(stands[i]) if i in stands else None) or states[i] for i in states}

    def settle(self, batch_id: int) -> BatchState | None:
        """Raise the events that are due on a batch, and pause it if it crossed a limit.

        Returns the batch's state, or None if it is archived.
        """
        with reading(self._engine) as connection:
            stands = _stands(connection, batch_id)
        return self._settle(stands)

    def _settle(self, stands: _Stands | None) -> BatchState | None:
        """Settle a batch that stands so, if it is unsettled: the first to get the lock raises the event."""
        if stands is None or not stands.is_unsettled:
            return stands and stands.state
        try:
            with self.deciding(Order()) as decision:
                return decision.lock(stands.batch_id).batch.state
        except Locked:  # by another program: the sweeper settles the batch when the lock is released
            return stands.state
        except NotFound:  # the report was taken, although the batch is archived now
            return None

    def apply_requests(self, batch_id: int) -> bool:
        """Apply the requests that wait for a batch, if its row is not locked; return whether it was not."""
        with self.deciding(Order()) as decision:
            if locked := decision.lock_if_free(batch_id):
                decision.bring_up_to_date(locked)
                return True
            return decision.refuse_requests_if_gone(batch_id)

    def write_tasks(self, batch_id: int) -> int:
        """Write the next slice of a staging batch's tasks, if its row is not locked; return how many were written."""
        with self.deciding(Order()) as decision:
            locked = decision.lock_if_free(batch_id)
            if locked is None or locked.batch.state not in transitions.BEGINS_RUN:
                return 0
            written = 0 if locked.facts.all_tasks_written else locked.write_slice()
            locked.raise_due_events(Order())
            return written

    def _decide(self, batch_id: int, action: str, order: Order) -> Answer:
        try:
            with self.deciding(order) as decision:
                return decision.record(decision.lock(batch_id).answer(action, order))
        except Locked:
            with self.deciding(order) as decision:
                queued = request_queue.enqueue(decision.connection, batch_id, action, order, self._request_ttl_s)
                return decision.record(queued)

    def _rehearse(self, batch_id: int, action: str, order: Order) -> Answer:
        with reading(self._engine) as connection:
            return rehearse(connection, batch_id, action, order)

    def _take_one(self, report: Report) -> None:
        verdicts, _ = self.report([report])
        if refusal := verdicts[0].refusal:
            raise refusal
