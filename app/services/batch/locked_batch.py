"""A batch under this transaction's lock: the only code that writes a batch's row, and its audit row with it.

BatchService alone makes one. What is decided here is true at the commit, or never was.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, bindparam, select

from app.domain import failures, transitions
from app.domain.facts import Facts
from app.domain.failures import Failure
from app.domain.leases import TaskStatus
from app.domain.reuse import redo_of
from app.domain.roles import SYSTEM
from app.domain.transitions import BatchState, Edit, Kind, Transition
from app.errors import Refusal, StateRefused, VersionMismatch
from app.models import Task
from app.services.batch import batch_lock, breaker, context_columns
from app.services.batch.batch_lock import Locked
from app.services.batch.batch_rows import BatchRecord, RunCounts, facts_of
from app.services.batch.batch_view import batch_view
from app.services.batch.changes import Change, ChangeMade, write_change
from app.services.batch.orders import Answer, Order
from app.services.task import run_tasks
from app.services.task.earlier_answers import NewRun

_BLAME: Any = (
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
    """Holds a batch while a request about it is decided; `batch` is always the row as last written."""

    def __init__(self, connection: Connection, locked: Locked, changes: list[ChangeMade]) -> None:
        self._connection = connection
        self._changes = changes
        self.batch: BatchRecord = locked.batch
        self.now: datetime = locked.now
        self.counts = locked.counts

    @property
    def connection(self) -> Connection:
        """The transaction that holds the batch: for what an edit has to read before it knows what to write."""
        return self._connection

    @property
    def facts(self) -> Facts:
        return facts_of(self.batch, self.counts, self.now)

    def answer(self, action: str, order: Order) -> Answer:
        """Decide an action and carry it out; a refusal is an answer too, and has changed nothing."""
        try:
            return self._carry_out(action, order)
        except Refusal as refusal:
            return refused(refusal, self.batch, self.facts)

    def raise_due_events(self, order: Order) -> None:
        """Raise the events that the facts call for, until none is due; then pause the batch if it crossed a limit."""
        while due := transitions.due(self.batch.state, self.facts):
            failure = self._blamed(_failure(due, self.facts))
            context = {"failure": failure.code} if failure else {}
            system = replace(order, actor=SYSTEM, role=SYSTEM, context=context)
            self._enter(due, system, failure, reason=failure.message if failure else None)
        if crossing := breaker.crossed(self._connection, self.batch, self.facts):
            figures = {**crossing.context, "leases_in_flight": self.facts.analysis.leased}
            breaking = replace(order, actor=breaker.ACTOR, role=SYSTEM, context=figures)
            pause = transitions.decide(breaker.ACTION, self.batch.state, self.facts)
            self._enter(pause, breaking, None, crossing.reason)

    def edit(self, edit: Edit, order: Order, columns: Mapping[str, Any]) -> None:
        """Change the batch and leave its state. Raises StateRefused, VersionMismatch."""
        self.check_version(order)
        if self.batch.state not in edit.sources:
            raise StateRefused(edit.trigger, self.batch.state, edit.sources)
        after = replace(self.batch, version=self.batch.version + 1, updated_at=self.now, **columns)
        self._write(after, Change(edit.trigger, Kind.EDIT, order, order.reason))

    def check_version(self, order: Order) -> None:
        """Hold the batch's version against the one that the caller saw. Raises VersionMismatch."""
        if order.if_version is not None and order.if_version != self.batch.version:
            raise VersionMismatch(order.if_version, self.batch.version)

    def _carry_out(self, action: str, order: Order) -> Answer:
        self.check_version(order)
        before = self.batch
        transition = transitions.decide(action, before.state, self.facts)
        columns = context_columns.columns_of(self._connection, before, action, order.context)
        failure = failures.cancelled(self.facts) if transition.target is BatchState.FAILED else None
        if failure and order.reason:
            failure = replace(failure, message=order.reason)
        self._enter(transition, order, failure, order.reason, columns)
        decided = self.batch
        if decided.state in transitions.BEGINS_RUN:
            self._begin_run()
        self.raise_due_events(order)
        return {
            "success": True,
            "batch_id": before.id,
            "action": action,
            "previous_state": before.state,
            "new_state": decided.state,
            "version": decided.version,
            "batch": batch_view(self.batch, self.facts),
        }

    def _enter(
        self,
        transition: Transition,
        order: Order,
        failure: Failure | None,
        reason: str | None,
        columns: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Move the batch along `transition`: run, times and failure follow from the state; `columns` go along."""
        target = transition.target
        changes: dict[str, Any] = dict(columns)
        if target in transitions.CLEARS_OUTCOME:
            changes |= dict.fromkeys(
                (
                    "failure_code",
                    "failure_message",
                    "failure_task_id",
                    "staged_at",
                    "started_at",
                    "finished_at",
                )
            )
        if target in transitions.BEGINS_RUN:
            changes["run"] = self.batch.run + 1
        entry_time = transitions.ENTRY_TIMES.get(target)
        if entry_time and getattr(self.batch, entry_time) is None:
            changes[entry_time] = self.now
        if failure:
            changes |= {
                "failure_code": failure.code,
                "failure_message": failure.message,
                "failure_task_id": failure.task_id,
            }
        after = replace(self.batch, state=target, version=self.batch.version + 1, updated_at=self.now, **changes)
        self._write(after, Change(transition.trigger, transition.kind, order, reason))

    def _write(self, after: BatchRecord, change: Change) -> None:
        self._changes.append(write_change(self._connection, self.batch, after, change))
        self.batch = after

    def _begin_run(self) -> None:
        """Write the run's first slice of tasks; the sweeper writes the others."""
        empty = RunCounts()
        if self._write_slice(empty):
            self.recount()
        else:
            self.counts = empty

    def write_slice(self) -> int:
        """Write the next slice of the run's first tasks; return how many it was."""
        written = self._write_slice(self.counts)
        self.recount()
        return written

    def _write_slice(self, counts: RunCounts) -> int:
        ready_made = self.batch.ready_task_count > 0
        run = NewRun(self.batch.id, self.batch.run, redo_of(self.batch.reuse))
        written = (counts.analysis if ready_made else counts.staging).written
        return run_tasks.write_slice(self._connection, run, ready_made, written, self.now)

    def recount(self) -> None:
        self.counts = batch_lock.count(self._connection, self.batch.id)

    def _blamed(self, failure: Failure | None) -> Failure | None:
        """Name the task that did it, and what it said."""
        kind = failures.BLAMES_TASK.get(failure.code) if failure else None
        if failure is None or kind is None:
            return failure
        where = {"batch_id": self.batch.id, "run": self.batch.run, "kind": kind}
        task: Any = self._connection.execute(_BLAME, where).one()
        # A worker may say U+0000, which the row's text cannot hold: it must not keep the batch from failing.
        said = str((task.error or {}).get("message") or "").replace("\0", "\N{REPLACEMENT CHARACTER}")
        return replace(failure, task_id=task.id, message=f"{failure.message} {said}" if said else failure.message)


def _failure(event: Transition, facts: Facts) -> Failure | None:
    if event.target is not BatchState.FAILED:
        return None
    in_staging = BatchState.STAGING in event.sources
    return failures.staging_failure(facts) if in_staging else failures.run_failure(facts)


def refused(refusal: Refusal, batch: BatchRecord | None = None, facts: Facts | None = None) -> Answer:
    """Make the answer of a refusal: its code and reason, and how the batch stands."""
    answer: Answer = {
        "success": False,
        "code": refusal.code,
        "status": refusal.status,
        "reason": refusal.detail,
        **refusal.facts,
    }
    if batch and facts:
        answer |= {
            "batch_id": batch.id,
            "current_state": batch.state,
            "version": batch.version,
            "allowed_actions": transitions.allowed(batch.state, facts),
        }
    return answer
