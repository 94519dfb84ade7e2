"""How long the calls of a run took, by model: quantiles of a bounded number of its tasks, spread evenly over the run.

So they take as long for a million tasks as for two thousand. A task's latency is that of its last call.
"""

from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, select

from app.batch_memory import BatchMemory
from app.domain.leases import TaskKind, TaskStatus
from app.models import IS_TIMED, Model, Task
from app.services.task.named_tasks import OF_MODEL

MOST_READ = 2_000  # tasks of a run
FEWEST = 20  # calls of a model: the 95th percentile of fewer is their slowest one
TRUSTED_SECONDS = 30.0
GOLDEN_RATIO = (5**0.5 - 1) / 2

_of_run = (Task.batch_id == bindparam("batch_id"), Task.run == bindparam("run"))
_ids = select(Task.id).where(*_of_run).limit(1)
_ENDS = select(
    _ids.order_by(Task.id).scalar_subquery().label("first"),
    _ids.order_by(Task.id.desc()).scalar_subquery().label("last"),
)
_TIMED = (
    select(Model.connection, Model.model, Task.latency_ms)
    .join(Model, OF_MODEL, isouter=True)
    # `+ 0` keeps the planner from the indexes of a run's tasks, which may be a million: these are found by their ids.
    .where(Task.batch_id + 0 == bindparam("batch_id"), Task.run + 0 == bindparam("run"))
    .where(IS_TIMED, Task.kind == TaskKind.ANALYZE, Task.status == TaskStatus.COMPLETED)
    .where(Task.id.in_(bindparam("ids", expanding=True, type_=BigInteger)))
)
Name = tuple[str | None, str | None]  # connection and model; None for ready-made tasks


class Latency(NamedTuple):
    """The quantiles of some calls, in milliseconds: nearest-rank, so each is a latency that was measured."""

    p50: int
    p95: int


def by_model(connection: Connection, batch_id: int, run: int) -> dict[Name, Latency]:
    """Give the latencies of each model of which enough calls were read."""
    of_run: dict[str, Any] = {"batch_id": batch_id, "run": run}
    ends: Any = connection.execute(_ENDS, of_run).one()
    if ends.first is None:
        return {}
    read: defaultdict[Name, list[int]] = defaultdict(list)
    for row in connection.execute(_TIMED, {**of_run, "ids": _spread(ends.first, ends.last)}):
        read[row.connection, row.model].append(row.latency_ms)
    return {name: _quantiles(sorted(taken)) for name, taken in read.items() if len(taken) >= FEWEST}


def _spread(first: int, last: int) -> list[int]:
    """Choose MOST_READ numbers at most between two, evenly, and not at equal distances: models take turns in a run."""
    step = -(-(last - first + 1) // MOST_READ)
    places = (at + int(number * GOLDEN_RATIO % 1 * step) for number, at in enumerate(range(first, last + 1, step)))
    return [place for place in places if place <= last]


def _quantiles(ordered: list[int]) -> Latency:
    return Latency(*(ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 95)))


class KnownLatencies:
    """The latencies of runs as this process knows them."""

    def __init__(self) -> None:
        self._known: BatchMemory[dict[Name, Latency]] = BatchMemory(TRUSTED_SECONDS)

    def known(self, batch_id: int, run: int) -> dict[Name, Latency] | None:
        """Give what was read lately of a run; None if nothing was."""
        return self._known.get(batch_id, of=run)

    def read(self, connection: Connection, batch_id: int, run: int) -> dict[Name, Latency]:
        """Give what was read lately of a run, or read it."""
        if (found := self.known(batch_id, run)) is not None:
            return found
        return self._known.put(batch_id, by_model(connection, batch_id, run), of=run)
