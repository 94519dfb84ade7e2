"""BatchService decides what state a batch is in. Callers request, workers report; nobody else writes a state.

A change, in this order: lock the row (or queue the request), apply who waits already, hold the version against
the caller's, ask the table, ask the guard, write the row by its version, append the audit row, raise the events
that are due, commit. The whole is one transaction: if the process dies anywhere in it, nothing has happened.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, insert

from app import db
from app.db import reading, transaction
from app.domain import action_contexts, transitions
from app.domain.facts import Facts
from app.domain.leases import Outcome
from app.domain.request_status import RequestStatus
from app.domain.transitions import ACTIONS, CREATE, BatchState, Edit, Kind
from app.errors import Locked, NotFound, Refusal, UnknownAction, VersionMismatch
from app.models import Batch
from app.services.batch import batch_lock, breaker, context_columns, decision_log, request_queue
from app.services.batch.batch_rows import BatchRecord, look
from app.services.batch.batch_view import batch_view, effect_of
from app.services.batch.changes import Change, ChangeMade, append_creation
from app.services.batch.forecast import forecast
from app.services.batch.locked_batch import LockedBatch, refused
from app.services.batch.orders import Answer, Order
from app.services.queue import reports
from app.services.queue.reports import Report, Verdict
from app.services.queue.worker_sightings import Sightings

Columns = Callable[[LockedBatch], Mapping[str, Any]]
Store = Callable[[Connection, LockedBatch], Mapping[str, Any] | None]  # returns what to tell beside the batch


class BatchService:
    """Decides and writes the states of batches, on an engine of `app.db.make_engine`."""

    def __init__(self, engine: Engine, request_ttl_s: int = 60, sightings: Sightings | None = None) -> None:
        self._engine = engine
        self._sightings = sightings or Sightings(engine)
        self._request_ttl_s = request_ttl_s

    def request_state_change(self, batch_id: int, requested_action: str, context: dict[str, Any]) -> Answer:
        """Decide an action on a batch and carry it out.

        `context` carries `actor`, `role`, `request_id`, `if_version`, `dry_run` beside the caller's own keys.
        Returns `success` True with the change, False with `code` and `reason`, or None with `request_id` and
        `queue_position` when the batch is locked and the request waits in line. Refusals are answered, not raised.
        """
        try:
            order = Order.of(context)
            return self.decide(batch_id, requested_action, order)
        except Refusal as refusal:
            return refused(refusal)

    def can_transition(self, batch_id: int, to_action: str) -> tuple[bool, str]:
        """Say whether an action is allowed now; where it is not, the reason in words (else '')."""
        try:
            batch, facts = self._look(batch_id)
        except NotFound as refusal:
            return False, refusal.detail
        return transitions.can(to_action, batch.state, facts)

    def handle_task_completion(self, task_id: str, result: dict[str, Any]) -> None:
        """Take a worker's report of a completed task: `result` is `{"lease_token", "result"}`.

        Raises NotFound, Invalid, or ReportRefused (the result is kept if its token was once given out).
        """
        self._take_one(Report.of(task_id, Outcome.COMPLETED, result))

    def handle_task_failure(self, task_id: str, error: dict[str, Any]) -> None:
        """Take a worker's report of a failed task: `error` is the body of contract 5's `fail`. Raises as above."""
        self._take_one(Report.of(task_id, Outcome.FAILED, error))

    def actions(self, batch_id: int) -> list[dict[str, Any]]:
        """Say of every action whether it is allowed now, and the reason where it is not. Raises NotFound."""
        batch, facts = self._look(batch_id)
        judged = ((action, *transitions.can(action, batch.state, facts)) for action in ACTIONS)
        return [{"action": action, "allowed": ok, "reason": reason or None} for action, ok, reason in judged]

    def decide(self, batch_id: int, action: str, order: Order) -> Answer:
        """As `request_state_change`, for an edge that has made its order. Raises Busy when there is no room to wait."""
        if action not in ACTIONS:
            answer = refused(UnknownAction(action, ACTIONS, is_event=action in transitions.EVENTS))
        else:
            answer = self._answer(batch_id, action, order)
        decision_log.log_answer(batch_id, action, order, answer)
        return answer

    def create(self, values: Mapping[str, Any], order: Order, store: Store) -> Answer:
        """Create a batch, SAVED and at version 1; `store` writes what it is made of, in the transaction."""

        def create(connection: Connection, changes: list[ChangeMade]) -> Answer:
            now = db.now(connection)
            row = {"state": transitions.INITIAL, "version": 1, "run": 0, "created_at": now, "updated_at": now}
            batch_id = connection.execute(
                insert(db.table_of(Batch)).returning(Batch.id), {**row, **values}
            ).scalar_one()
            batch, _ = look(connection, batch_id)
            changes.append(append_creation(connection, batch, Change(CREATE, Kind.EDIT, order)))
            locked = LockedBatch(connection, batch_lock.Locked(batch, now), changes)
            more = store(connection, locked)
            return {**batch_view(batch, locked.facts), **(more or {})}

        return self._recorded(order, create)

    def edit(self, batch_id: int, edit: Edit, order: Order, columns: Columns, store: Store | None = None) -> Answer:
        """Edit a batch: `columns` gives the row's new ones, `store` writes what belongs beside the row.

        Raises NotFound, StateRefused, VersionMismatch; Locked when somebody holds the row.
        """

        def apply(connection: Connection, changes: list[ChangeMade]) -> Answer:
            locked = self._lock(connection, batch_id, changes)
            locked.edit(edit, order, columns(locked))
            more = store(connection, locked) if store else None
            return {**batch_view(locked.batch, locked.facts), **(more or {})}

        return self._recorded(order, apply)

    def report(self, taken: Iterable[Report]) -> tuple[list[Verdict], dict[int, BatchState]]:
        """Take workers' reports, each judged by itself, in order; then let phases end and the breaker pause.

        Returns a verdict for each report, and the state of each batch afterwards.
        """
        reports_taken = list(taken)
        verdicts = db.retry_while_locked(lambda: self._take(reports_taken))
        judged = list(zip(reports_taken, verdicts, strict=True))
        decision_log.count_reports("refused" if verdict.refusal else report.outcome for report, verdict in judged)
        self._sightings.reported((verdict.worker, report.outcome) for report, verdict in judged)
        ids = {verdict.batch_id for verdict in verdicts if verdict.batch_id is not None}
        unsettled = {verdict.batch_id for verdict in verdicts if verdict.settles}
        states = {v.batch_id: v.batch_state for v in verdicts if v.batch_id is not None and v.batch_state}
        return verdicts, {i: (self.settle(i) if i in unsettled else None) or states[i] for i in ids}

    def settle(self, batch_id: int) -> BatchState | None:
        """Raise the events that are due on a batch, pause it if it crossed a limit; None if it was put away meanwhile.

        Asked after the commit of a report, with a fresh snapshot: of two reporters who each saw the other's task
        open, the later one sees none. Whoever wins the lock raises the event; the loser finds it done. Returns the
        batch's state.
        """
        try:
            with reading(self._engine) as connection:
                batch, facts = look(connection, batch_id)
                if not breaker.is_unsettled(connection, batch, facts):
                    return batch.state
            with self._deciding() as (connection, changes):
                return self._lock(connection, batch_id, changes).batch.state
        except Locked:  # from outside: the sweeper raises it when the lock is gone
            return batch.state
        except NotFound:  # a report that was taken is taken, whoever put its batch away since
            return None

    def apply_requests(self, batch_id: int) -> bool:
        """Apply the requests that wait for a batch, if nobody holds it; say whether it was free."""
        with self._deciding() as (connection, changes):
            locked = batch_lock.lock(connection, batch_id, if_free=True)
            if locked:
                self._catch_up(connection, LockedBatch(connection, locked, changes))
                return True
            return self._refuse_all_if_gone(connection, batch_id)

    def write_tasks(self, batch_id: int) -> int:
        """Write the next slice of a staging batch's tasks, if nobody holds it; return how many it was."""
        with self._deciding() as (connection, changes):
            row = batch_lock.lock(connection, batch_id, if_free=True)
            if row is None or row.batch.state not in transitions.BEGINS_RUN:
                return 0
            locked = LockedBatch(connection, row, changes)
            written = 0 if locked.facts.all_tasks_written else locked.write_slice()
            locked.raise_due_events(Order())
            return written

    @contextmanager
    def _deciding(self) -> Iterator[tuple[Connection, list[ChangeMade]]]:
        """Open a transaction, with a list of the changes made in it: logged when they are committed."""
        changes: list[ChangeMade] = []
        with transaction(self._engine) as connection:
            yield connection, changes
        decision_log.log_changes(changes)

    def _recorded(self, order: Order, work: Callable[[Connection, list[ChangeMade]], Answer]) -> Answer:
        with self._deciding() as (connection, changes):
            answer = work(connection, changes)
            if order.record:
                order.record(connection, answer)
            return answer

    def _answer(self, batch_id: int, action: str, order: Order) -> Answer:
        try:
            action_contexts.columns_of(action, order.context)  # what is malformed waits in no line
        except Refusal as refusal:
            return refused(refusal)
        return (self._rehearse if order.dry_run else self._decide_or_queue)(batch_id, action, order)

    def _decide_or_queue(self, batch_id: int, action: str, order: Order) -> Answer:
        def decide(connection: Connection, changes: list[ChangeMade]) -> Answer:
            try:
                return self._lock(connection, batch_id, changes).answer(action, order)
            except NotFound as refusal:
                return refused(refusal)

        def queue(connection: Connection, _: list[ChangeMade]) -> Answer:
            return request_queue.enqueue(connection, batch_id, action, order, self._request_ttl_s)

        try:
            return self._recorded(order, decide)
        except Locked:
            return self._recorded(order, queue)

    def _lock(self, connection: Connection, batch_id: int, changes: list[ChangeMade]) -> LockedBatch:
        row = batch_lock.lock(connection, batch_id)
        if row is None:
            raise NotFound("batch", batch_id)
        return self._catch_up(connection, LockedBatch(connection, row, changes))

    def _catch_up(self, connection: Connection, locked: LockedBatch) -> LockedBatch:
        """Raise what a crash left undone and apply who waits, so that no new request overtakes them."""
        locked.raise_due_events(Order())
        if not locked.counts.waiting:
            return locked
        for request in request_queue.waiting(connection, locked.batch.id):
            status, reason, version = RequestStatus.EXPIRED, request_queue.EXPIRED, locked.batch.version
            if request.expires_at > locked.now:
                order = Order(request.actor, request.role, request.id, request.if_version, context=request.context)
                answer = locked.answer(request.action, order)
                status = RequestStatus.APPLIED if answer["success"] else RequestStatus.REFUSED
                reason, version = answer.get("reason", ""), answer["version"]
            request_queue.finish(connection, request.seq, status, reason or None, version, locked.now)
        return locked

    def _refuse_all_if_gone(self, connection: Connection, batch_id: int) -> bool:
        try:
            look(connection, batch_id)
            return False
        except NotFound as gone:
            now = db.now(connection)
            for request in request_queue.waiting(connection, batch_id):
                request_queue.finish(connection, request.seq, RequestStatus.REFUSED, gone.detail, None, now)
            return True

    def _rehearse(self, batch_id: int, action: str, order: Order) -> Answer:
        """Decide and change nothing: what a dry run answers, as of the last commit."""
        try:
            with reading(self._engine) as connection:
                batch, facts = look(connection, batch_id)
                return self._rehearsed(connection, batch, facts, action, order)
        except NotFound as refusal:
            return refused(refusal)

    def _rehearsed(self, connection: Connection, batch: BatchRecord, facts: Facts, action: str, order: Order) -> Answer:
        try:
            if order.if_version is not None and order.if_version != batch.version:
                raise VersionMismatch(order.if_version, batch.version)
            target = transitions.decide(action, batch.state, facts).target
            columns = context_columns.columns_of(connection, batch, action, order.context)
        except Refusal as refusal:
            return {**refused(refusal, batch, facts), "dry_run": True}
        crossing = breaker.crossed(connection, replace(batch, state=target, **columns), facts)
        effect = effect_of(batch.state, target, facts)
        if target in transitions.BEGINS_RUN:
            effect |= forecast(connection, batch, columns["reuse"])
        return {
            "success": True,
            "batch_id": batch.id,
            "action": action,
            "previous_state": batch.state,
            "new_state": target,
            "version": batch.version,
            "batch": batch_view(batch, facts),
            "dry_run": True,
            "effect": effect,
            "pauses_again": crossing.reason if crossing else None,
        }

    def _look(self, batch_id: int) -> tuple[BatchRecord, Facts]:
        with reading(self._engine) as connection:
            return look(connection, batch_id)

    def _take(self, taken: list[Report]) -> list[Verdict]:
        with transaction(self._engine) as connection:
            return reports.receive(connection, taken)

    def _take_one(self, report: Report) -> None:
        verdicts, _ = self.report([report])
        if refusal := verdicts[0].refusal:
            raise refusal
