"""What there is to lease, as read at one moment: batches with what their tasks need, and the circuits that are closed.

It answers for each worker which of it the worker may have. What it answers may be some tenths of a second old: the
lease of a task and the claim of a probe check again.
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app import db
from app.domain.connection.abilities import Abilities
from app.domain.connection.circuits import Probe
from app.services.connection import circuits, pauses
from app.services.connection.circuits import CircuitRow
from app.services.connection.pauses import Key
from app.services.queue import leasing
from app.services.queue.leasing import Candidate


@dataclass(frozen=True)
class Trial:
    """Closed circuits that may be due for a probe, and the batches whose tasks are called over all of them."""

    circuits: tuple[CircuitRow, ...]
    candidates: tuple[Candidate, ...] = ()  # none: a paused batch waits, so the probe is a call without a task


@dataclass(frozen=True)
class Closed:
    """The closed circuits, and those of them for which the service has paused a batch."""

    circuits: tuple[CircuitRow, ...] = ()
    awaited: frozenset[Key] = frozenset()


def read_closed(connection: Connection) -> Closed:
    """Read the closed circuits: one statement if there is none."""
    closed = tuple(circuits.closed(connection))
    awaited = [each.circuits for each in pauses.paused(connection)] if closed else []
    return Closed(closed, frozenset().union(*awaited))


class Work:
    """The batches with tasks to lease, of all or of one, under the circuits that are closed."""

    def __init__(self, candidates: list[Candidate], closed: Closed, at: datetime) -> None:
        self._candidates = {each.batch_id: each for each in candidates}
        self._closed = closed
        self._at = at
        self._read_at = time.monotonic()
        self._of_abilities: dict[frozenset[str] | None, tuple[Mapping[int, Candidate], list[Trial]]] = {}

    @classmethod
    def read(cls, connection: Connection, closed: Closed, batch_id: int | None = None) -> "Work":
        """Read the batches that have tasks to lease; with `batch_id`, that batch if it has one."""
        now = db.now(connection)
        return cls(leasing.candidates(connection, now, batch_id), closed, now)

    def under(self, closed: Closed) -> "Work":
        """The same work under the circuits that are closed now."""
        return self if closed == self._closed else Work(list(self._candidates.values()), closed, self.now)

    @property
    def now(self) -> datetime:
        """About the time of the database's clock."""
        return self._at + timedelta(seconds=time.monotonic() - self._read_at)

    @property
    def batch_ids(self) -> AbstractSet[int]:
        return self._candidates.keys()

    @property
    def is_gated(self) -> bool:
        """Whether a circuit is closed."""
        return bool(self._closed.circuits)

    def open_to(self, abilities: Abilities) -> Mapping[int, Candidate]:
        """Give the batches that have tasks for a worker, with the targets that it can do and that are not closed."""
        return self._sorted_for(abilities)[0]

    def due(self, abilities: Abilities) -> list[Trial]:
        """List the probes that a worker could make now."""
        now = self.now
        return [trial for trial in self._sorted_for(abilities)[1] if all(_is_due(each, now) for each in trial.circuits)]

    def closed_to(self, abilities: Abilities) -> list[CircuitRow]:
        """List the closed circuits of connections that a worker calls."""
        return [each for each in self._closed.circuits if abilities.reaches(each.connection, each.model)]

    def _sorted_for(self, abilities: Abilities) -> tuple[Mapping[int, Candidate], list[Trial]]:
        if abilities.can is None and not self.is_gated:
            return self._candidates, []
        if abilities.can not in self._of_abilities:
            self._of_abilities[abilities.can] = self._sort(abilities)
        return self._of_abilities[abilities.can]

    def _sort(self, abilities: Abilities) -> tuple[Mapping[int, Candidate], list[Trial]]:
        free: dict[int, Candidate] = {}
        closed: defaultdict[tuple[CircuitRow, ...], list[Candidate]] = defaultdict(list)
        for candidate in self._candidates.values():
            numbers: defaultdict[tuple[CircuitRow, ...], set[int]] = defaultdict(set)
            for number, target in candidate.targets.items():
                if abilities.takes(target):
                    numbers[tuple(each for each in self._closed.circuits if each.covers(target))].add(number)
            if open_ones := numbers.pop((), None):
                free[candidate.batch_id] = candidate.only(open_ones)
            for circuit, some in numbers.items():
                closed[circuit].append(candidate.only(some))
        trials = [Trial(each, tuple(found)) for each, found in closed.items()]
        return free, [*trials, *self._calls(abilities, {row for each in closed for row in each})]

    def _calls(self, abilities: Abilities, with_tasks: set[CircuitRow]) -> list[Trial]:
        if abilities.can is None:
            return []  # a worker of the release before: it would not make the call
        return [
            Trial((each,))
            for each in self.closed_to(abilities)
            if each not in with_tasks and each.key in self._closed.awaited and each.probe is not Probe.ANSWERED
        ]


def _is_due(circuit: CircuitRow, now: datetime) -> bool:
    return circuit.next_try_at is not None and circuit.next_try_at <= now
