"""Which tasks a page lists, found along the index that fits.

A walk follows an index in the index's own order and reads a bounded number of rows. When a page is short because of
that bound, its cursor goes on from the last row that was read. `Wanted.by_id` has no bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, literal_column, select, tuple_, union_all

from app import portions
from app.domain.ids import plain_number
from app.domain.leases import TaskKind, TaskStatus
from app.errors import Invalid
from app.models import Task

MOST_LOOKED_AT = 20_000  # tasks that a page reads to find its own
ERRORS_AT_ONCE = 1_000
_PAST_LAST_ID = 2**63

_ERRORS = select(Task.id, Task.error)
_ERROR_SIZES = select(Task.id, portions.size_of(Task.error))

# The statuses whose index begins with a time, and that time.
_BY_TIME = {TaskStatus.QUEUED: Task.available_at, TaskStatus.LEASED: Task.lease_expires_at}


class Place(NamedTuple):
    """A task in a list, and the cursor with which the list goes on after it."""

    task_id: int
    cursor: str


@dataclass(frozen=True)
class Wanted:
    """Which tasks of a batch; None means the present run, each kind, each status, with or without an error."""

    run: int | None = None
    kind: TaskKind | None = None
    status: TaskStatus | None = None
    code: str | None = None  # of the error, so it means FAILED tasks
    by_id: bool = False  # full pages in the order of ids, however many tasks are read for one; not with a code


class TaskWalk:
    """One walk over the tasks of a run."""

    def __init__(self, connection: Connection, batch_id: int, run: int, wanted: Wanted, limit: int) -> None:
        self._connection = connection
        self._batch_id = batch_id
        self._of_run = (Task.batch_id == batch_id, Task.run == run)
        self._kinds: Sequence[str] = list(TaskKind) if wanted.kind is None else [wanted.kind]
        self._wanted = wanted
        self._limit = limit

    def places(self, after: str | None) -> tuple[list[Place], str | None]:
        """Find the tasks of a page, and the cursor of the next one."""
        status = self._wanted.status
        if self._wanted.code is not None:
            return self._with_code(_id_of(after))
        if self._wanted.by_id:
            return self._cut(self._by_id(_id_of(after)))
        if status in _BY_TIME:
            return self._by_time(status, _BY_TIME[status], after)
        if status == TaskStatus.FAILED:
            return self._cut(self._failed(_id_of(after), Task.id, self._limit + 1))
        return self._in_order(_id_of(after))

    def _by_id(self, after: int) -> Sequence[Any]:
        statement = select(Task.id).where(*self._of_run, Task.id > after)
        if self._wanted.kind is not None:
            statement = statement.where(Task.kind == self._wanted.kind)
        if self._wanted.status is not None:
            statement = statement.where(Task.status == self._wanted.status)
        return self._connection.execute(statement.order_by(Task.id).limit(self._limit + 1)).all()

    def _cut(self, rows: Sequence[Any]) -> tuple[list[Place], str | None]:
        shown = [_place(row.id) for row in rows[: self._limit]]
        return shown, shown[-1].cursor if len(rows) > self._limit else None

    def _failed(self, after: int, columns: Any, most: int) -> Sequence[Any]:
        parts = [
            select(columns)
            .where(*self._of_run, Task.kind == kind, Task.status == _literal(TaskStatus.FAILED), Task.id > after)
            .order_by(Task.id)
            .limit(most)
            .subquery()
            for kind in self._kinds
        ]
        merged = union_all(*(select(part) for part in parts)).subquery()
        return self._connection.execute(select(merged).order_by(merged.c.id).limit(most)).all()

    def _with_code(self, after: int) -> tuple[list[Place], str | None]:
        # Compared here: PostgreSQL cannot read a part of a JSON value that holds U+0000, and a message may hold it.
        found: list[Place] = []
        looked_at = 0
        while looked_at < MOST_LOOKED_AT:
            sized = self._failed_with_sizes(after)
            for row in portions.read_on(self._connection, sized, _ERRORS):
                if (row.error or {}).get("code") == self._wanted.code:
                    if len(found) == self._limit:
                        return found, found[-1].cursor
                    found.append(_place(row.id))
            if len(sized) < ERRORS_AT_ONCE:
                return found, None
            after, looked_at = sized[-1].id, looked_at + len(sized)
        return found, str(after)

    def _failed_with_sizes(self, after: int) -> Sequence[Any]:
        ids = [row.id for row in self._failed(after, Task.id, ERRORS_AT_ONCE)]
        statement = _ERROR_SIZES.where(Task.id.in_(ids)).order_by(Task.id)
        return self._connection.execute(statement).all() if ids else []

    def _by_time(self, status: TaskStatus, at: Any, after: str | None) -> tuple[list[Place], str | None]:
        # The index of leases holds those of all batches, and still fewer rows than a batch has tasks. `+ 0` keeps the
        # planner from the other indexes.
        hidden = (Task.batch_id + 0 == self._batch_id, self._of_run[1])
        of_run = hidden if status == TaskStatus.LEASED else self._of_run
        parts = []
        for kind in self._kinds:
            statement = select(Task.id, at.label("at")).where(
                *of_run, Task.kind == kind, Task.status == _literal(status)
            )
            if after is not None:
                statement = statement.where(tuple_(at, Task.id) > _time_and_id(after))
            parts.append(statement.order_by(at, Task.id).limit(self._limit + 1).subquery())
        merged = union_all(*(select(part) for part in parts)).subquery()
        ordered = select(merged).order_by(merged.c.at, merged.c.id).limit(self._limit + 1)
        rows = self._connection.execute(ordered).all()
        shown = rows[: self._limit]
        places = [Place(row.id, f"{row.at.isoformat()}_{row.id}") for row in shown]
        return places, places[-1].cursor if len(rows) > self._limit else None

    def _in_order(self, after: int) -> tuple[list[Place], str | None]:
        looked_at = (
            select(Task.id, Task.kind, Task.status)
            .where(*self._of_run, Task.id > after)
            .order_by(Task.id)
            .limit(MOST_LOOKED_AT)
            .subquery()
        )
        statement = select(looked_at.c.id).where(looked_at.c.kind.in_(self._kinds))
        if self._wanted.status is not None:
            statement = statement.where(looked_at.c.status == self._wanted.status)
        rows = self._connection.execute(statement.order_by(looked_at.c.id).limit(self._limit + 1)).all()
        if len(rows) > self._limit:
            return self._cut(rows)
        last, amount = self._connection.execute(select(func.max(looked_at.c.id), func.count(looked_at.c.id))).one()
        return [_place(row.id) for row in rows], str(last) if amount == MOST_LOOKED_AT else None


def _place(task_id: int) -> Place:
    return Place(task_id, str(task_id))


def _literal(status: TaskStatus) -> Any:
    """Write a status into the statement: SQLite uses a partial index only for a literal, never for a parameter."""
    return literal_column(repr(str(status)))


def _id_of(cursor: str | None) -> int:
    if cursor is None:
        return 0
    number = plain_number(cursor, len(str(_PAST_LAST_ID)))
    if not number or number >= _PAST_LAST_ID:
        raise _unknown_cursor()
    return number


def _time_and_id(cursor: str) -> tuple[datetime, int]:
    at, _, number = cursor.rpartition("_")
    try:
        return datetime.fromisoformat(at).astimezone(UTC), _id_of(number)
    except (ValueError, OverflowError) as error:  # a time of year 1 may have none in UTC
        raise _unknown_cursor() from error


def _unknown_cursor() -> Invalid:
    return Invalid("This cursor did not come from this list.", errors={"cursor": ["is unknown"]})
