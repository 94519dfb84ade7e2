"""The tasks of a run in pages, whatever is asked for and however many there are; and one task with what it asks.

Each walk follows an index in the index's own order, and looks at a bounded number of rows: where a page comes back
short of that, its cursor goes on from the last row looked at. How many tasks there are, the counters say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, literal_column, select, tuple_, union_all

from app.db import reading
from app.domain.ids import task_number
from app.domain.leases import TaskKind, TaskStatus
from app.errors import Invalid, NotFound
from app.models import Task
from app.services.batch.batch_rows import look
from app.services.batch.batch_view import batch_view
from app.services.queue.payloads import payloads
from app.services.reads.queries import LISTED_TASKS, TASKS, Queries
from app.services.reads.row_views import task_view
from app.services.task.task_counts import counts_of

MOST_LOOKED_AT = 20_000  # tasks that a page looks at to find its own
ERRORS_AT_ONCE = 1_000

# The statuses whose index is in an order of its own, with the time that it begins with.
_BY_TIME = {TaskStatus.QUEUED: Task.available_at, TaskStatus.LEASED: Task.lease_expires_at}


@dataclass(frozen=True)
class Wanted:
    """Which tasks of a batch: of the present run unless told, of each kind and status, with any error."""

    run: int | None = None
    kind: TaskKind | None = None
    status: TaskStatus | None = None
    code: str | None = None  # the error's; it means FAILED tasks


@dataclass(frozen=True)
class TaskPage:
    """A page of tasks, its batch, and the counts of the run by kind and status."""

    batch: dict[str, Any]
    run: int
    counts: dict[str, dict[str, int]]
    tasks: list[dict[str, Any]]
    next_cursor: str | None


class TaskPages:
    """Reads tasks as of the last commit, waiting for nobody."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queries = Queries(engine)

    def page(self, batch_id: int, wanted: Wanted, limit: int = 50, after: str | None = None) -> TaskPage:
        """List tasks after a cursor. Raises NotFound, Invalid."""
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
            run = batch.run if wanted.run is None else wanted.run
            counts = counts_of(connection, batch_id, run)
            ids, further = _Walk(connection, batch_id, run, wanted, limit).ids(after)
            rows = {row.id: row for row in connection.execute(LISTED_TASKS.where(Task.id.in_(ids)))} if ids else {}
        tasks = [task_view(rows[each]) for each in ids if each in rows]
        return TaskPage(batch_view(batch, facts), run, counts, tasks, further)

    def task(self, batch_id: int, task_id: str) -> dict[str, Any]:
        """Show a task whole: `task`, its `batch`, and `asked`, what a worker is given with it. Raises NotFound."""
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
            row = connection.execute(TASKS.where(Task.id == task_number(task_id))).one_or_none()
            if row is None or row.batch_id != batch_id:
                raise NotFound("task", task_id)
            (asked,) = payloads(connection, [row])
        return {"batch": batch_view(batch, facts), "task": self._queries.task(task_id), "asked": asked}


class _Walk:
    """One walk over tasks, along the index that fits what is wanted."""

    def __init__(self, connection: Connection, batch_id: int, run: int, wanted: Wanted, limit: int) -> None:
        self._connection = connection
        self._batch_id = batch_id
        self._of_run = (Task.batch_id == batch_id, Task.run == run)
        self._kinds: Sequence[str] = list(TaskKind) if wanted.kind is None else [wanted.kind]
        self._wanted = wanted
        self._limit = limit

    def ids(self, after: str | None) -> tuple[list[int], str | None]:
        """Find the tasks of a page, and the cursor of the next one."""
        if self._wanted.code is not None:
            return self._with_code(_id_of(after))
        status = self._wanted.status
        if status in _BY_TIME:
            return self._by_time(status, _BY_TIME[status], after)
        if status == TaskStatus.FAILED:
            return self._cut(self._failed(_id_of(after), Task.id, self._limit + 1))
        return self._in_order(_id_of(after))

    def _cut(self, rows: Sequence[Any]) -> tuple[list[int], str | None]:
        shown = [row.id for row in rows[: self._limit]]
        return shown, str(shown[-1]) if len(rows) > self._limit else None

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

    def _with_code(self, after: int) -> tuple[list[int], str | None]:
        # Judged here: PostgreSQL takes no JSON value apart that holds U+0000 anywhere, and a message may.
        found: list[int] = []
        looked_at = 0
        while looked_at < MOST_LOOKED_AT:
            rows = self._failed_with_errors(after)
            for row in rows:
                if (row.error or {}).get("code") == self._wanted.code:
                    if len(found) == self._limit:
                        return found, str(found[-1])
                    found.append(row.id)
            if len(rows) < ERRORS_AT_ONCE:
                return found, None
            after, looked_at = rows[-1].id, looked_at + len(rows)
        return found, str(after)

    def _failed_with_errors(self, after: int) -> Sequence[Any]:
        ids = [row.id for row in self._failed(after, Task.id, ERRORS_AT_ONCE)]
        statement = select(Task.id, Task.error).where(Task.id.in_(ids)).order_by(Task.id)
        return self._connection.execute(statement).all() if ids else []

    def _by_time(self, status: TaskStatus, at: Any, after: str | None) -> tuple[list[int], str | None]:
        # The index of leases holds those of all batches, few beside one's tasks: the sum hides the other indexes.
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
        further = f"{shown[-1].at.isoformat()}_{shown[-1].id}" if len(rows) > self._limit else None
        return [row.id for row in shown], further

    def _in_order(self, after: int) -> tuple[list[int], str | None]:
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
        return [row.id for row in rows], str(last) if amount == MOST_LOOKED_AT else None


def _literal(status: TaskStatus) -> Any:
    """Write a status into the statement itself: SQLite takes no partial index for what is bound."""
    return literal_column(repr(str(status)))


def _id_of(cursor: str | None) -> int:
    if cursor is not None and not task_number(cursor):
        raise Invalid("The cursor is none that this list gave.", errors={"cursor": ["is unknown"]})
    return task_number(cursor) if cursor else 0


def _time_and_id(cursor: str) -> tuple[datetime, int]:
    at, _, number = cursor.rpartition("_")
    try:
        return datetime.fromisoformat(at), _id_of(number)
    except ValueError as error:
        raise Invalid("The cursor is none that this list gave.", errors={"cursor": ["is unknown"]}) from error
