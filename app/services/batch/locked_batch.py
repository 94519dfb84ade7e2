"""A batch that this transaction has locked: the only code that changes a batch, each time with an audit row.

Only a Decision makes one. Its changes take effect when the transaction commits.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, bindparam, select

from app.domain import deadlines, failures, transitions
from app.domain.facts import Facts
from app.domain.failures import Failure
from app.domain.leases import TaskKind, TaskStatus
from app.domain.reuse import redo_of
from app.domain.roles import SYSTEM
from app.domain.transitions import BatchState, Edit, Kind, Transition
from app.errors import Refusal, StateRefused
from app.models import Task
from app.services.batch import batch_lock, breaker
from app.services.batch.batch_lock import Locked
from app.services.batch.batch_rows import BatchRecord, RunCounts, facts_of
from app.services.batch.batch_view import BatchView, batch_view
from app.services.batch.changes import Change, ChangeMade, write_change
from app.services.batch.orders import RUN, Answer, Order, accepted, check_version, columns_of, order_to_run, refused
from app.services.connection import circuits
from app.services.task import run_tasks
from app.services.task.earlier_answers import NewRun

_OUTCOME = ("failure_code", "failure_message", "failure_task_id", "staged_at", "started_at", "finished_at")
# The failed task of a run that a failure names: a critical one first, then the oldest.
_FAILED_TASK: Any = (
    select(Task.id, Task.error)
    .where(
        Task.batch_id == bindparam("batch_id"),
        Task.run == bindparam("run"),
        Task.kind == bindparam("kind"),
        Task.status == TaskStatus.FAILED,
    )
    .order_by(Task.critical.desc(), Task.id)
    .limit(1)
)


class LockedBatch:
    """Holds a batch while it is decided about. `batch` is the row as last written, `changes` what was written."""

    def __init__(self, connection: Connection, locked: Locked) -> None:
        self._connection = connection
        self.batch: BatchRecord = locked.batch
        self.now: datetime = locked.now
        self.counts = locked.counts
        self._any_circuit_closed = locked.any_circuit_closed
        self.changes: list[ChangeMade] = []
        self._facts: tuple[BatchRecord, RunCounts, Facts] | None = None  # as last computed, and of what

    @property
    def facts(self) -> Facts:
        if self._facts is None or self._facts[:2] != (self.batch, self.counts):
            self._facts = (self.batch, self.counts, facts_of(self.batch, self.counts, self.now))
        return self._facts[2]

    @property
    def view(self) -> BatchView:
        return batch_view(self.batch, self.facts)

    def answer(self, action: str, order: Order, raise_events: bool = True) -> Answer:
        """Decide an action and carry it out. A refusal is an answer too, and has changed nothing.

        Without `raise_events`, the caller requests another action before the events that this one causes.
        """
        try:
            return self._carry_out(action, order, raise_events)
        except Refusal as refusal:
            return refused(refusal, self.batch, self.facts)

    def edit(self, edit: Edit, order: Order, columns: Mapping[str, Any]) -> None:
        """Change columns of the batch, and keep its state. Raises StateRefused, VersionMismatch."""
        check_version(order, self.batch)
        if self.batch.state not in edit.sources:
            raise StateRefused(edit.trigger, self.batch.state, edit.sources)
        self._write(columns, Change(edit.trigger, Kind.EDIT, order, order.reason))

    def raise_due_events(self, order: Order) -> None:
        """Raise events until none is due; then pause the batch if it crossed a limit."""
        while due := transitions.due(self.batch.state, self.facts):
            failure = _failure(due, self.facts)
            reason = failure.message if failure else None
            failure = self._with_failed_task(failure)
            # The audit row is for ever, so it names the task instead of quoting it.
            named = {"task_id": str(failure.task_id)} if failure and failure.task_id else {}
            context = {"failure": failure.code, **named} if failure else {}
            system = replace(order, actor=SYSTEM, role=SYSTEM, context=context)
            self._enter(due, system, failure, reason)
            self._run_if_requested()
        if crossing := breaker.crossed(self._connection, self.batch, self.facts):
            figures = {**crossing.context, "leases_in_flight": self.facts.analysis.leased}
            breaking = replace(order, actor=breaker.ACTOR, role=SYSTEM, context=figures)
            pause = transitions.decide(breaker.ACTION, self.batch.state, self.facts)
            self._enter(pause, breaking, None, crossing.reason)

    def write_slice(self) -> int:
        """Write the next slice of the run's first tasks; return how many were written."""
        written = self._write_slice(self.counts)
        self.recount()
        return written

    def recount(self) -> None:
        """Read the counts again, after tasks were written."""
        self.counts = batch_lock.count(self._connection, self.batch.id)

    def _carry_out(self, action: str, order: Order, raise_events: bool) -> Answer:
        check_version(order, self.batch)
        before = self.batch
        transition = transitions.decide(action, before.state, self.facts)
        columns = columns_of(self._connection, before, action, order.context)
        failure = failures.cancelled(self.facts) if transition.target is BatchState.FAILED else None
        if failure and order.reason:
            failure = replace(failure, message=order.reason)
        self._enter(transition, order, failure, order.reason, columns)
        decided = self.batch
        if decided.state in transitions.BEGINS_RUN:
            self._begin_run()
        self._try_circuits()
        if raise_events:
            self.raise_due_events(order)
        return accepted(action, before, decided, self.batch, self.facts)

    def _run_if_requested(self) -> None:
        """Run a batch that has just been staged, if whoever staged it requested that: a change of the same actor."""
        if self.batch.state is not BatchState.STAGED:
            return
        order = order_to_run(self._connection, self.batch.id)
        if order is not None:
            self._enter(transitions.decide(RUN, self.batch.state, self.facts), order, None, order.reason)
            self._try_circuits()

    def _try_circuits(self) -> None:
        if self._any_circuit_closed and self.batch.state in transitions.LEASES_IN[TaskKind.ANALYZE]:
            circuits.try_now(self._connection, self.batch.id, self.now)

    def _enter(
        self,
        transition: Transition,
        order: Order,
        failure: Failure | None,
        reason: str | None,
        columns: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Move the batch along a transition: run, times and failure follow from the state; `columns` are added."""
        target = transition.target
        values: dict[str, Any] = {
            **deadlines.columns_on_entry(self.batch, target, self.now),
            **columns,
            "state": target,
        }
        if target in transitions.CLEARS_OUTCOME:
            values |= dict.fromkeys(_OUTCOME)
        if target in transitions.BEGINS_RUN:
            values |= {"run": self.batch.run + 1, "bad_line_count": 0}
        entry_time = transitions.ENTRY_TIMES.get(target)
        if entry_time and getattr(self.batch, entry_time) is None:
            values[entry_time] = self.now
        if failure:
            values |= {
                "failure_code": failure.code,
                "failure_message": failure.message,
                "failure_task_id": failure.task_id,
            }
        self._write(values, Change(transition.trigger, transition.kind, order, reason))

    def _write(self, values: Mapping[str, Any], change: Change) -> None:
        after = self.batch.changed(version=self.batch.version + 1, updated_at=self.now, **values)
        self.changes.append(write_change(self._connection, self.batch, after, change))
        self.batch = after

    def _begin_run(self) -> None:
        """Write the run's first slice of tasks; the sweeper writes the others."""
        empty = RunCounts()
        if self._write_slice(empty):
            self.recount()
        else:
            self.counts = empty

    def _write_slice(self, counts: RunCounts) -> int:
        ready_made = self.batch.ready_task_count > 0
        run = NewRun(self.batch.id, self.batch.run, redo_of(self.batch.reuse))
        written = (counts.analysis if ready_made else counts.staging).written
        return run_tasks.write_slice(self._connection, run, ready_made, written, self.now)

    def _with_failed_task(self, failure: Failure | None) -> Failure | None:
        """Add the id of the task that caused the failure, and its error message."""
        kind = failures.CAUSED_BY_TASK.get(failure.code) if failure else None
        if failure is None or kind is None:
            return failure
        where = {"batch_id": self.batch.id, "run": self.batch.run, "kind": kind}
        task: Any = self._connection.execute(_FAILED_TASK, where).one()
        return replace(failure, task_id=task.id, message=failures.with_words(failure.message, task.error))


def _failure(event: Transition, facts: Facts) -> Failure | None:
    if event.target is not BatchState.FAILED:
        return None
    in_staging = BatchState.STAGING in event.sources
    return failures.staging_failure(facts) if in_staging else failures.run_failure(facts)
