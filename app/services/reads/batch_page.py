"""What the page of one batch shows, read with a fixed number of statements whatever the size of the batch."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, select

from app import db
from app.db import reading
from app.domain import transitions
from app.domain.facts import Facts
from app.domain.leases import TaskKind
from app.domain.transitions import ACTIONS
from app.models import Model, Prompt
from app.services.batch.batch_rows import BatchRecord, look
from app.services.batch.batch_view import BatchView
from app.services.connection.waiting import waiting_for
from app.services.reads import progress, requests
from app.services.reads.batches import whole_view
from app.services.reads.failed_tasks import FailedTogether, by_cause
from app.services.reads.progress import Moment
from app.services.reads.workers import PresentWorker, workers_on

LEAST_SECONDS = 5.0  # between the last two moments of a chart: a rate over less is noise


@dataclass(frozen=True)
class Present:
    """A batch now: the batch, its actions, its progress, its failures, its workers and the requests that wait."""

    batch: BatchView
    actions: list[dict[str, Any]]
    rate: float | None  # tasks a second
    seconds_left: float | None
    causes: list[FailedTogether]
    workers: list[PresentWorker]
    waiting: list[dict[str, Any]]
    waiting_count: int


class Pulse(NamedTuple):
    """A summary of a batch; two equal ones mean that nothing has happened between them."""

    changed: Hashable  # its version, how many requests wait for it, and what its tasks wait for
    moved: Hashable  # the counts and the usage of its tasks


@dataclass(frozen=True)
class Names:
    """The names of a batch's prompts and models."""

    prompts: list[str]
    models: list[str]


class BatchPage:
    """Reads one batch for its page. Each method raises NotFound, `names` excepted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def present(self, batch_id: int) -> Present:
        """Read what the page shows of the batch now."""
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
            view = whole_view(connection, batch, facts)
            taken = progress.moments(connection, batch_id, batch.run)
            at_work = batch.state in transitions.LEASES_IN[TaskKind.ANALYZE]
            rate = progress.rate(taken, _moment(connection, batch, facts)) if at_work else None
            waiting, amount = requests.first_waiting(connection, batch_id)
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
        """Summarise a batch so that any change of it or of its tasks shows."""
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
            waiting = requests.amount_waiting(connection, batch_id)
            waits = waiting_for(connection, batch_id) if batch.state in transitions.UNFINISHED else []
        what_for = tuple(tuple(each.values()) for each in waits)
        return Pulse((batch.version, waiting, what_for), (facts.staging, facts.analysis, facts.usage))

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
        """Read how the present run went: its samples, from its start until now or until its end."""
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
            if batch.started_at is None:
                return []
            taken = progress.moments(connection, batch_id, batch.run)
            last = _moment(connection, batch, facts)
            sums = progress.sums_of(connection, [batch_id])[batch_id]
        # Answers of earlier runs that are reused count as finished before the first call.
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


def _causes(connection: Connection, batch: BatchRecord, facts: Facts) -> list[FailedTogether]:
    failed = {TaskKind.STAGE: facts.staging.failed, TaskKind.ANALYZE: facts.analysis.failed}
    kind = next((kind for kind, amount in failed.items() if amount), None)
    return by_cause(connection, batch.id, batch.run, kind) if kind else []
