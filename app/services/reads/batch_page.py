"""What the page of one batch shows, read with a fixed number of statements whatever the size of the batch."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Select, select

from app.db import reading
from app.domain import transitions
from app.domain.facts import Facts
from app.domain.leases import TaskKind
from app.domain.transitions import ACTIONS, Kind
from app.models import Model, Prompt
from app.services.batch.batch_rows import BatchRecord, Glance, glance, look
from app.services.batch.batch_view import BatchView, batch_view
from app.services.connection.known_waits import KnownWaits
from app.services.connection.waiting import WaitingFor
from app.services.estimate.latencies import KnownLatencies, Latency, Name
from app.services.estimate.rest import cost_of_rest
from app.services.reads import audit, progress, requests
from app.services.reads.batches import Batches, may_wait, whole_view
from app.services.reads.failed_tasks import FailedTogether, KnownCauses
from app.services.reads.progress import Moment
from app.services.reads.workers import PresentWorker, workers_on

LEAST_SECONDS = 5.0  # between the last two moments of a chart: a rate over less is noise


@dataclass(frozen=True)
class Head:
    """A batch, and whether each action is allowed now."""

    batch: BatchView
    actions: list[dict[str, Any]]


@dataclass(frozen=True)
class Failures(Head):
    """A batch, and why tasks of its present run failed."""

    causes: list[FailedTogether]


@dataclass(frozen=True)
class Present(Failures):
    """A batch now: its progress, its failures, its workers, its changes, its cost and the requests that wait."""

    pulse: "Pulse"
    now: datetime
    is_at_work: bool  # tasks that call models are leased
    rate: float | None  # tasks a second; of a batch that is not at work: those before its last change of state
    seconds_left: float | None
    open_calls: int  # calls that the run has still to make, or that it would make
    rest: dict[str, Any]  # their estimated cost
    workers: list[PresentWorker]
    changes: list[dict[str, Any]]  # the newest, newest first
    moments: list[Moment]
    latencies: Mapping[Name, Latency] | None  # by model; None while they are not read
    waiting: list[dict[str, Any]]
    waiting_count: int

    @property
    def last_change(self) -> dict[str, Any] | None:
        """The newest change of state."""
        return next((each for each in self.changes if each["kind"] != Kind.EDIT), None)

    @property
    def run_seconds(self) -> float | None:
        """How long the run took, from its start to its end; None of one that has not ended."""
        ends = [self.batch["started_at"], self.batch["finished_at"]]
        begun, ended = (datetime.fromisoformat(each) if each else None for each in ends)
        return max(1.0, (ended - begun).total_seconds()) if begun and ended else None

    @property
    def mean_rate(self) -> float | None:
        """How many tasks a second ended while the run that is over went on."""
        counts = self.batch["progress"]["analysis"]
        return (counts["completed"] + counts["failed"]) / self.run_seconds if self.run_seconds else None

    @property
    def still_seconds(self) -> float:
        """For how long no call of the run was answered, as far as its samples tell."""
        if not self.moments:
            return 0.0
        last = self.moments[-1]
        same = (each for each in self.moments if (each.finished, each.attempts) == (last.finished, last.attempts))
        return (self.now - next(same).at).total_seconds()


class Pulse(NamedTuple):
    """What was read of a batch at a moment, from which follows whether anything happened since another one."""

    seen: Glance
    waits: list[WaitingFor]

    @property
    def changed(self) -> Hashable:
        """Its version, how many requests wait for it, and what its tasks wait for."""
        return self.seen.batch.version, self.seen.waiting, tuple(tuple(each.values()) for each in self.waits)

    @property
    def moved(self) -> Hashable:
        """The counts and the usage of its tasks."""
        return self.seen.facts.staging, self.seen.facts.analysis, self.seen.facts.usage


@dataclass(frozen=True)
class Names:
    """The names of a batch's prompts and models."""

    prompts: list[str]
    models: list[str]


@dataclass(frozen=True)
class MadeOf:
    """A batch's prompts and models, in their order."""

    prompts: list[dict[str, Any]]
    models: list[dict[str, Any]]


class BatchPage:
    """Reads one batch for its page. Each method raises NotFound, `made_of` and `names` excepted."""

    def __init__(self, engine: Engine, batches: Batches) -> None:
        self._engine = engine
        self._batches = batches
        self._waits = KnownWaits()
        self._causes = KnownCauses()
        self._latencies = KnownLatencies()

    def pulse(self, batch_id: int) -> Pulse:
        """Read a batch so that any change of it or of its tasks shows; what its tasks wait for may be a little late."""
        with reading(self._engine) as connection:
            seen = glance(connection, batch_id)
            waits = may_wait(seen.batch, seen.facts)
            return Pulse(seen, self._waits.of(connection, batch_id, seen.now) if waits else [])

    def head(self, batch_id: int) -> Head:
        """Read what the head of each page of the batch shows."""
        with reading(self._engine) as connection:
            return _head(*look(connection, batch_id))

    def head_of(self, pulse: Pulse) -> Head:
        """Give what the head of each page of the batch shows, of what was read."""
        return _head(pulse.seen.batch, pulse.seen.facts)

    def present(self, batch_id: int) -> Present:
        """Read what the page shows of the batch now; of the latencies only what is known already."""
        seen, view = self._batches.glance(batch_id)
        with reading(self._engine) as connection:
            return self._present(connection, Pulse(seen, view["waiting_for"]), view, is_fresh=True)

    def present_of(self, pulse: Pulse) -> Present:
        """Read what the page shows beside what was read; the causes of failures may be a little late."""
        with reading(self._engine) as connection:
            view = whole_view(connection, pulse.seen.batch, pulse.seen.facts, pulse.waits)
            return self._present(connection, pulse, view, is_fresh=False)

    def _present(self, connection: Connection, pulse: Pulse, view: BatchView, is_fresh: bool) -> Present:
        batch, facts, now, amount_waiting = pulse.seen
        calls_made = Calls.of(view)
        at_work = batch.state in transitions.LEASES_IN[TaskKind.ANALYZE]
        changes = audit.latest(connection, batch.id)
        until = batch.finished_at or (now if at_work else _last_change_at(changes))
        taken = _moments(connection, batch, facts, calls_made, until)
        rate = progress.rate_at(taken, until)
        holds = facts.staging.leased + facts.analysis.leased > 0
        calls = _open_calls(batch, facts)
        return Present(
            batch=view,
            actions=_judged(batch, facts),
            pulse=pulse,
            now=now,
            is_at_work=at_work,
            rate=rate,
            seconds_left=facts.analysis.open / rate if rate and at_work else None,
            open_calls=calls,
            rest=cost_of_rest(connection, batch.id, calls, batch.model_count, facts.usage, calls_made.priced),
            causes=self._causes.of(connection, batch, facts, is_fresh),
            workers=workers_on(connection, batch.id, batch.run, batch.lease_seconds, now) if holds else [],
            changes=changes,
            moments=taken,
            latencies=self._latencies_of(connection, view, is_fresh),
            waiting=requests.first_waiting(connection, batch.id) if amount_waiting else [],
            waiting_count=amount_waiting,
        )

    def _latencies_of(self, connection: Connection, view: BatchView, is_page: bool) -> Mapping[Name, Latency] | None:
        if all(each["latency_ms"] is None for each in view["usage"]["by_model"]):
            return {}
        if is_page:
            return self._latencies.known(view["id"], view["run"])
        return self._latencies.read(connection, view["id"], view["run"])

    def failures(self, batch_id: int) -> Failures:
        """Read why tasks of the present run failed."""
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
            return Failures(
                batch_view(batch, facts),
                _judged(batch, facts),
                self._causes.of(connection, batch, facts, is_fresh=True),
            )

    def made_of(self, batch_id: int) -> MadeOf:
        """List a batch's prompts and models."""
        prompts = select(Prompt.number, Prompt.name, Prompt.text, Prompt.system, Prompt.schema, Prompt.input)
        models = select(Model.number, Model.connection, Model.model, Model.params)
        with reading(self._engine) as connection:
            return MadeOf(
                [dict(row) for row in connection.execute(_of(prompts, Prompt, batch_id)).mappings()],
                [dict(row) for row in connection.execute(_of(models, Model, batch_id)).mappings()],
            )

    def names(self, batch_id: int) -> Names:
        """List a batch's prompts and models by the names that `redo` takes."""
        prompts = select(Prompt.name).where(Prompt.batch_id == batch_id).order_by(Prompt.number)
        models = select(Model.connection, Model.model).where(Model.batch_id == batch_id).order_by(Model.number)
        with reading(self._engine) as connection:
            return Names(
                list(connection.execute(prompts).scalars()),
                [f"{row.connection}/{row.model}" for row in connection.execute(models)],
            )


def _of(statement: Select[Any], table: Any, batch_id: int) -> Select[Any]:
    return statement.where(table.batch_id == batch_id).order_by(table.number)


class Calls(NamedTuple):
    """The calls of a run that were reported: all, those that failed, and those with a known cost."""

    reported: int
    failed: int
    priced: int

    @classmethod
    def of(cls, batch: BatchView) -> "Calls":
        """Add up the calls of a batch's models."""
        shares = batch["usage"].get("by_model", [])
        reported, failed, unpriced = (sum(s[name] for s in shares) for name in ("calls", "failures", "unpriced_calls"))
        return cls(reported, failed, reported - unpriced)


def _moments(connection: Connection, batch: BatchRecord, facts: Facts, calls: Calls, until: datetime) -> list[Moment]:
    """Read how the present run went: its samples, from its start until a time at which it stands as it does now."""
    if batch.started_at is None:
        return []
    taken = progress.moments(connection, batch.id, batch.run)
    finished = facts.analysis.completed + facts.analysis.failed
    # Answers of earlier runs that are reused count as finished before the first call.
    first = Moment(batch.started_at, finished=max(0, finished - calls.reported))
    last = taken[-1] if taken else first
    ended = Moment(until, finished, calls.reported, calls.failed, last.timed, last.latency_ms, last.cost_nanos)
    between = (each for each in taken if each.at > first.at)
    return [first, *(each for each in between if (ended.at - each.at).total_seconds() > LEAST_SECONDS), ended]


def _last_change_at(changes: list[dict[str, Any]]) -> datetime:
    """Find when the batch's state last changed, among its newest changes."""
    change = next((each for each in changes if each["kind"] != Kind.EDIT), changes[-1])
    return datetime.fromisoformat(change["at"])


def _open_calls(batch: BatchRecord, facts: Facts) -> int:
    if facts.analysis.total:
        return facts.analysis.open
    return batch.ready_task_count or batch.document_count * batch.prompt_count * batch.model_count


def _head(batch: BatchRecord, facts: Facts) -> Head:
    return Head(batch_view(batch, facts), _judged(batch, facts))


def _judged(batch: BatchRecord, facts: Facts) -> list[dict[str, Any]]:
    judged = ((action, *transitions.can(action, batch.state, facts)) for action in ACTIONS)
    return [
        {"action": action, "allowed": ok, "reason": reason, "meaning": transitions.BY_TRIGGER[action].meaning}
        for action, ok, reason in judged
    ]
