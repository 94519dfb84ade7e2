"""One batch as a page shows it, read with a fixed number of statements whatever its size. No rules.

What may be done with it comes from the table, as everywhere.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, func, literal_column, select

from app import db
from app.db import reading
from app.domain import transitions
from app.domain.facts import Facts
from app.domain.leases import TaskKind
from app.domain.request_status import RequestStatus
from app.domain.transitions import ACTIONS, Kind
from app.models import AuditRow, Model, Prompt, StateChangeRequest
from app.services.batch.batch_rows import BatchRecord, look
from app.services.batch.batch_view import BatchView, batch_view
from app.services.batch.breaker import ACTOR as BREAKER
from app.services.reads import progress
from app.services.reads.failed_tasks import Cause, by_cause
from app.services.reads.present_workers import PresentWorker, workers_on
from app.services.reads.progress import Moment
from app.services.reads.row_views import audit_view, request_view
from app.services.task import usage_counts

TRAIL_PAGE = 50
WAY_LOOKED_AT = 200  # changes from which the way of a batch is drawn
MOST_REQUESTS = 20
LEAST_SECONDS = 5.0  # between the last two moments of a chart: a rate over less is noise

_audit = db.table_of(AuditRow)
_queue = db.table_of(StateChangeRequest)
_IS_WAITING = _queue.c.status == literal_column(f"'{RequestStatus.QUEUED}'")  # written out, as the partial index has it
_AMOUNT_WAITING = select(func.count()).where(_queue.c.batch_id == bindparam("of_batch"), _IS_WAITING)


@dataclass(frozen=True)
class Present:
    """A batch as it stands, and what goes on around it."""

    batch: BatchView
    actions: list[dict[str, Any]]
    rate: float | None  # tasks a second
    seconds_left: float | None
    causes: list[Cause]
    workers: list[PresentWorker]
    waiting: list[dict[str, Any]]
    waiting_count: int


class Pulse(NamedTuple):
    """Of a batch; two that are equal mean that nothing happened between them."""

    changed: Hashable  # its version, and who waits for it
    moved: Hashable  # its tasks


@dataclass(frozen=True)
class Names:
    """What a batch calls its prompts and models."""

    prompts: list[str]
    models: list[str]


class BatchPage:
    """Reads one batch, as of the last commit. Raises NotFound where there is none."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def present(self, batch_id: int) -> Present:
        """Read how a batch stands."""
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
            view = batch_view(batch, facts, usage_counts.by_model_and_prompt(connection, batch_id, batch.run))
            taken = progress.moments(connection, batch_id, batch.run)
            at_work = batch.state in transitions.LEASES_IN[TaskKind.ANALYZE]
            rate = progress.rate(taken, _moment(connection, batch, facts)) if at_work else None
            waiting, amount = _waiting(connection, batch_id)
            return Present(
                batch=view,
                actions=_judged(batch, facts),
                rate=rate,
                seconds_left=facts.analysis.open / rate if rate else None,
                causes=_causes(connection, batch, facts),
                workers=workers_on(connection, batch_id, batch.run),
                waiting=waiting,
                waiting_count=amount,
            )

    def pulse(self, batch_id: int) -> Pulse:
        """Give what differs as soon as a batch has changed, or its tasks have."""
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
            waiting = connection.execute(_AMOUNT_WAITING, {"of_batch": batch_id}).scalar_one()
        return Pulse((batch.version, waiting), (facts.staging, facts.analysis, facts.usage))

    def way(self, batch_id: int) -> tuple[str, list[tuple[str, str]]]:
        """Give a batch's state and the pairs of states it went through, those of its last changes."""
        statement = select(_audit.c.from_state, _audit.c.to_state).where(_audit.c.batch_id == batch_id)
        with reading(self._engine) as connection:
            state = look(connection, batch_id)[0].state
            rows = connection.execute(statement.order_by(_audit.c.version.desc()).limit(WAY_LOOKED_AT)).all()
        return state, [(row.from_state, row.to_state) for row in rows if row.from_state is not None]

    def trail(
        self, batch_id: int, kind: Kind | None = None, actor: str = "", before: int | None = None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Give a page of a batch's changes, newest first, and the cursor of the next page, or None."""
        statement = select(_audit).where(_audit.c.batch_id == batch_id)
        if kind is not None:
            statement = statement.where(_audit.c.kind == kind)
        if actor:
            statement = statement.where(_audit.c.actor.icontains(actor, autoescape=True))
        if before is not None:
            statement = statement.where(_audit.c.version < before)
        with reading(self._engine) as connection:
            rows = connection.execute(statement.order_by(_audit.c.version.desc()).limit(TRAIL_PAGE + 1)).all()
        more = len(rows) > TRAIL_PAGE
        return [audit_view(row) for row in rows[:TRAIL_PAGE]], rows[TRAIL_PAGE - 1].version if more else None

    def trail_lines(self, batch_id: int, kind: Kind | None = None, actor: str = "") -> Iterator[dict[str, Any]]:
        """Walk a batch's changes, newest first, a page in memory at a time."""
        rows, before = self.trail(batch_id, kind, actor)
        yield from rows
        while before is not None:
            rows, before = self.trail(batch_id, kind, actor, before)
            yield from rows

    def changes_since(self, batch_id: int, version: int) -> list[dict[str, Any]]:
        """List what changed a batch after a version, oldest first: the first page of it."""
        statement = select(_audit).where(_audit.c.batch_id == batch_id, _audit.c.version > version)
        with reading(self._engine) as connection:
            rows = connection.execute(statement.order_by(_audit.c.version).limit(TRAIL_PAGE)).all()
        return [audit_view(row) for row in rows]

    def paused_by_breaker(self, batch_id: int) -> str | None:
        """Say why the breaker made the batch's last change of state, if it was the breaker who did."""
        statement = (
            select(_audit.c.actor, _audit.c.reason)
            .where(_audit.c.batch_id == batch_id, _audit.c.kind != Kind.EDIT)
            .order_by(_audit.c.version.desc())
            .limit(1)
        )
        with reading(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        return row.reason if row and row.actor == BREAKER else None

    def names(self, batch_id: int) -> Names:
        """List a batch's prompts and models by the names that `redo` takes."""
        prompts = select(Prompt.name).where(Prompt.batch_id == batch_id).order_by(Prompt.number)
        models = select(Model.connection, Model.model).where(Model.batch_id == batch_id).order_by(Model.number)
        with reading(self._engine) as connection:
            return Names(
                list(connection.execute(prompts).scalars()),
                [f"{row.connection}/{row.model}" for row in connection.execute(models)],
            )

    def moments(self, batch_id: int) -> list[Moment]:
        """Read how the present run went: its samples, from its start to now or to its end."""
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
            if batch.started_at is None:
                return []
            taken = progress.moments(connection, batch_id, batch.run)
            last = _moment(connection, batch, facts)
            sums = progress.sums_of(connection, [batch_id])[batch_id]
        # What was taken over from earlier runs was there before the first call.
        first = Moment(batch.started_at, finished=max(0, sums["finished"] - sums["attempts"]))
        ended = Moment(last.at, **sums)
        between = (each for each in taken if each.at > first.at)
        return [first, *(each for each in between if (ended.at - each.at).total_seconds() > LEAST_SECONDS), ended]


def _moment(connection: Connection, batch: BatchRecord, facts: Facts) -> Moment:
    at: datetime = batch.finished_at or db.now(connection)
    return Moment(at, finished=facts.analysis.completed + facts.analysis.failed)


def _judged(batch: BatchRecord, facts: Facts) -> list[dict[str, Any]]:
    judged = ((action, *transitions.can(action, batch.state, facts)) for action in ACTIONS)
    return [
        {"action": action, "allowed": ok, "reason": reason, "meaning": transitions.BY_TRIGGER[action].meaning}
        for action, ok, reason in judged
    ]


def _causes(connection: Connection, batch: BatchRecord, facts: Facts) -> list[Cause]:
    failed = {TaskKind.STAGE: facts.staging.failed, TaskKind.ANALYZE: facts.analysis.failed}
    kind = next((kind for kind, amount in failed.items() if amount), None)
    return by_cause(connection, batch.id, batch.run, kind) if kind else []


def _waiting(connection: Connection, batch_id: int) -> tuple[list[dict[str, Any]], int]:
    """The requests that wait for a batch, the first of them, and how many there are."""
    statement = (
        select(_queue, func.count().over().label("amount"))
        .where(_queue.c.batch_id == batch_id, _IS_WAITING)
        .order_by(_queue.c.seq)
        .limit(MOST_REQUESTS)
    )
    rows = connection.execute(statement).all()
    views = [{**request_view(row), "queue_position": place} for place, row in enumerate(rows, 1)]
    return views, rows[0].amount if rows else 0
