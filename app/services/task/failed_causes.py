"""The causes of a run's failed analysis tasks, found by walking through them a page at a time.

Errors are read in portions: each may be large. The causes are compared here and not in the database: a message may hold
U+0000, which PostgreSQL cannot read in JSON.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select

from app import portions
from app.domain.causes import cause_of
from app.domain.leases import TaskKind
from app.models import IS_FAILED, Model, Task
from app.services.task.named_tasks import OF_MODEL

PAGE = 1_000
MOST_WALKED = 100_000  # failed tasks that one call looks at
_FAILED = (
    select(Task.id, portions.size_of(Task.error))
    .where(
        Task.batch_id == bindparam("batch_id"),
        Task.run == bindparam("run"),
        Task.kind == str(TaskKind.ANALYZE),
        IS_FAILED,
        Task.id > bindparam("after"),
    )
    .order_by(Task.id)
    .limit(PAGE)
)
_SIZES = select(Task.id, portions.size_of(Task.error)).where(Task.id.in_(bindparam("ids", expanding=True)))
_ERRORS = select(Task.id, Task.error, Task.model_number, Model.connection).join(Model, OF_MODEL, isouter=True)


class FailedTask(NamedTuple):
    """A failed task: the number of its model (None for a ready-made task), and the key of its cause."""

    model_number: int | None
    cause: str


def found_among(connection: Connection, batch_id: int, run: int, wanted: Collection[str]) -> set[str]:
    """Find which of the wanted causes failed tasks of a run have; stops when all are found."""
    found: set[str] = set()
    for task in _walk(connection, batch_id, run):
        if task.cause in wanted:
            found.add(task.cause)
            if len(found) == len(wanted):
                break
    return found


def amounts(connection: Connection, batch_id: int, run: int, causes: Collection[str]) -> Counter[int | None]:
    """Count the failed tasks of a run that have one of these causes, by the number of their model."""
    return Counter(task.model_number for task in _walk(connection, batch_id, run) if task.cause in causes)


def causes_of(connection: Connection, task_ids: Sequence[int]) -> dict[int, str]:
    """Find the causes of failed tasks, by their ids."""
    sized = connection.execute(_SIZES, {"ids": task_ids}).all() if task_ids else []
    return {row.id: _key(row) for row in portions.read_on(connection, sized, _ERRORS)}


def _walk(connection: Connection, batch_id: int, run: int) -> Iterator[FailedTask]:
    after = 0
    for _ in range(MOST_WALKED // PAGE):
        sized = connection.execute(_FAILED, {"batch_id": batch_id, "run": run, "after": after}).all()
        yield from (FailedTask(row.model_number, _key(row)) for row in portions.read_on(connection, sized, _ERRORS))
        if len(sized) < PAGE:
            return
        after = sized[-1].id


def _key(row: Any) -> str:
    return cause_of(row.connection, row.error).key
