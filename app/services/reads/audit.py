"""The audit trail: the changes of one batch in pages, and the feed of all changes. Archived batches keep theirs."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, tuple_

from app import db
from app.db import reading
from app.domain.failures import with_words
from app.domain.times import rfc3339
from app.domain.transitions import Kind
from app.errors import NotFound
from app.models import AuditRow, Batch
from app.services.batch.batch_rows import look
from app.services.batch.breaker import ACTOR as BREAKER
from app.services.reads.failed_tasks import errors_of

PAGE = 50
FEED_PAGE = 500
MOST_STEPS = 200  # changes from which the path of a batch is drawn

_audit = db.table_of(AuditRow)
_COLUMNS = (
    "version", "trigger", "kind", "from_state", "to_state", "actor", "role", "reason", "context", "request_id",
)  # fmt: skip
_FEED = (
    select(_audit, Batch.name, Batch.run)
    .join(Batch, Batch.id == _audit.c.batch_id)
    .order_by(_audit.c.at, _audit.c.batch_id, _audit.c.version)
)


def _views(connection: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Show audit rows. A failure is shown with what the worker reported of its task, unless that is erased."""
    failed = {row.version: int(row.context["task_id"]) for row in rows if _names_a_task(row)}
    errors = errors_of(connection, set(failed.values()))
    views = [{**{name: getattr(row, name) for name in _COLUMNS}, "at": rfc3339(row.at)} for row in rows]
    for view in views:
        if task_id := failed.get(view["version"]):
            view["reason"] = with_words(view["reason"], errors.get(task_id))
    return views


def _names_a_task(row: Row[Any]) -> bool:
    """Whether the service itself wrote the id of a failed task into the context; a caller may write anything there."""
    return row.kind == Kind.EVENT and "task_id" in row.context


class AuditTrail:
    """Reads audit rows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(
        self,
        batch_id: int,
        limit: int = PAGE,
        after: int | None = None,
        *,
        kind: Kind | None = None,
        actor: str = "",
        newest_first: bool = False,
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Give a page of a batch's changes after a version, and the cursor of the next page, or None.

        `actor` is a part of the actor's name, in any case. Raises NotFound.
        """
        version = _audit.c.version
        statement = select(_audit).where(_audit.c.batch_id == batch_id)
        if kind is not None:
            statement = statement.where(_audit.c.kind == kind)
        if actor:
            statement = statement.where(_audit.c.actor.icontains(actor, autoescape=True))
        if after is not None:
            statement = statement.where(version < after if newest_first else version > after)
        statement = statement.order_by(version.desc() if newest_first else version).limit(limit + 1)
        with reading(self._engine) as connection:
            rows = connection.execute(statement).all()
            if not rows and connection.execute(select(Batch.id).where(Batch.id == batch_id)).first() is None:
                raise NotFound("batch", batch_id)
            views = _views(connection, rows[:limit])
        return views, rows[limit - 1].version if len(rows) > limit else None

    def lines(self, batch_id: int, kind: Kind | None = None, actor: str = "") -> Iterator[dict[str, Any]]:
        """Walk a batch's changes, newest first, a page in memory at a time. Raises NotFound before the walk begins."""
        first, cursor = self.page(batch_id, kind=kind, actor=actor, newest_first=True)

        def walk() -> Iterator[dict[str, Any]]:
            rows, after = first, cursor
            yield from rows
            while after is not None:
                rows, after = self.page(batch_id, after=after, kind=kind, actor=actor, newest_first=True)
                yield from rows

        return walk()

    def path(self, batch_id: int) -> tuple[str, list[tuple[str, str]]]:
        """Give a batch's state, and the pairs of states of its last changes, newest first. Raises NotFound."""
        statement = select(_audit.c.from_state, _audit.c.to_state).where(_audit.c.batch_id == batch_id)
        with reading(self._engine) as connection:
            state = look(connection, batch_id)[0].state
            rows = connection.execute(statement.order_by(_audit.c.version.desc()).limit(MOST_STEPS)).all()
        return state, [(row.from_state, row.to_state) for row in rows if row.from_state is not None]

    def breaker_reason(self, batch_id: int) -> str | None:
        """Give the reason of the batch's last change of state if the breaker made it, else None."""
        statement = (
            select(_audit.c.actor, _audit.c.reason)
            .where(_audit.c.batch_id == batch_id, _audit.c.kind != Kind.EDIT)
            .order_by(_audit.c.version.desc())
            .limit(1)
        )
        with reading(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        return row.reason if row and row.actor == BREAKER else None

    def newest(self) -> tuple[Any, ...] | None:
        """Name the newest audit row of all by time, batch and version; another answer means a new change."""
        statement = select(_audit.c.at, _audit.c.batch_id, _audit.c.version).order_by(_audit.c.at.desc()).limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else tuple(row)

    def feed(self, since: datetime) -> Iterator[Row[Any]]:
        """Walk the changes of all batches from a time on, oldest first, a page in memory at a time.

        A row has the columns of an audit row, and the batch's `name` and `run`.
        """
        after: tuple[datetime, int, int] | None = (since, 0, 0)
        while after is not None:
            further = tuple_(_audit.c.at, _audit.c.batch_id, _audit.c.version) > after
            with reading(self._engine) as connection:
                rows = connection.execute(_FEED.where(further).limit(FEED_PAGE)).all()
            yield from rows
            last = rows[-1] if len(rows) == FEED_PAGE else None
            after = (last.at, last.batch_id, last.version) if last else None
