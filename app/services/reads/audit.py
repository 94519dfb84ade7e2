"""The audit trail: the changes of one batch, and those of all batches. Archived batches keep theirs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, Select, and_, select, tuple_

from app import db
from app.db import reading
from app.domain.failures import with_words
from app.domain.times import rfc3339
from app.domain.transitions import BatchState, Kind
from app.errors import NotFound
from app.models import AuditRow, Batch
from app.services.batch.batch_rows import look
from app.services.batch.breaker import ACTOR as BREAKER
from app.services.reads.failed_tasks import errors_of

PAGE = 50
FEED_PAGE = 500
LATEST = 20
PLACE = r"^[0-9]{1,17}\.[0-9]{1,18}\.[0-9]{1,9}$"
_BEGINNING, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
MOST_SCANNED = 5_000  # changes that a page of the activity looks at
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
    failed = [int(row.context["task_id"]) if _names_a_task(row) else None for row in rows]
    errors = errors_of(connection, {task_id for task_id in failed if task_id is not None})
    views = [{**{name: getattr(row, name) for name in _COLUMNS}, "at": rfc3339(row.at)} for row in rows]
    for view, task_id in zip(views, failed, strict=True):
        if task_id is not None:
            view["reason"] = with_words(view["reason"], errors.get(task_id))
    return views


def _names_a_task(row: Row[Any]) -> bool:
    """Whether the service itself wrote the id of a failed task into the context; a caller may write anything there."""
    return row.kind == Kind.EVENT and "task_id" in row.context


def latest(connection: Connection, batch_id: int) -> list[dict[str, Any]]:
    """List the newest changes of a batch, newest first."""
    statement = select(_audit).where(_audit.c.batch_id == batch_id).order_by(_audit.c.version.desc()).limit(LATEST)
    return _views(connection, connection.execute(statement).all())


class Place(NamedTuple):
    """The place of a change among those of all batches, as a cursor: its time, batch and version."""

    at: datetime
    batch_id: int
    version: int

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """Read a cursor; None if the text is none."""
        if not re.fullmatch(PLACE, text):
            return None
        at, batch_id, version = map(int, text.split("."))
        try:
            return cls(_BEGINNING + at * _MICROSECOND, batch_id, version)
        except OverflowError:
            return None

    def __str__(self) -> str:
        return f"{(self.at - _BEGINNING) // _MICROSECOND}.{self.batch_id}.{self.version}"


@dataclass(frozen=True)
class ActivityFilter:
    """Which changes of all batches; `actor` is a part of the name, in any case, and times are [since, until)."""

    actor: str = ""
    trigger: str = ""
    state: BatchState | None = None  # that the change led to
    since: datetime | None = None
    until: datetime | None = None


def _activity(wanted: ActivityFilter, before: Place | None) -> Any:
    """The newest MOST_SCANNED changes before a place, of which the filter then takes some: a bound of each page."""
    order = [each.desc() for each in (_audit.c.at, _audit.c.batch_id, _audit.c.version)]
    statement = select(_audit).order_by(*order).limit(MOST_SCANNED)
    if wanted.since is not None:
        statement = statement.where(_audit.c.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(_audit.c.at < wanted.until)
    if before is not None:
        statement = statement.where(tuple_(_audit.c.at, _audit.c.batch_id, _audit.c.version) < before)
        statement = statement.where(_audit.c.at <= before.at)  # for the index
    return statement.subquery("newest")


def _wanted(newest: Any, wanted: ActivityFilter) -> Select[Any]:
    statement = select(newest, Batch.name).join(Batch, Batch.id == newest.c.batch_id)
    if wanted.actor:
        statement = statement.where(newest.c.actor.icontains(wanted.actor, autoescape=True))
    if wanted.trigger:
        statement = statement.where(newest.c.trigger == wanted.trigger)
    if wanted.state is not None:
        statement = statement.where(newest.c.to_state == wanted.state)
    return statement.order_by(newest.c.at.desc(), newest.c.batch_id.desc(), newest.c.version.desc())


def last_of(connection: Connection, batch_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Give the newest change of each of these batches, by the batch's id."""
    is_last = and_(Batch.id == _audit.c.batch_id, Batch.version == _audit.c.version)
    statement = select(_audit).join(Batch, is_last).where(Batch.id.in_(batch_ids))
    rows = connection.execute(statement).all() if batch_ids else []
    return {row.batch_id: view for row, view in zip(rows, _views(connection, rows), strict=True)}


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
        """Give a batch's state, and the pairs of states of its last actions and events, newest first. Raises NotFound.

        An edit is no step: a batch of which documents were added was not reset.
        """
        statement = select(_audit.c.from_state, _audit.c.to_state).where(
            _audit.c.batch_id == batch_id, _audit.c.kind != Kind.EDIT
        )
        with reading(self._engine) as connection:
            state = look(connection, batch_id)[0].state
            rows = connection.execute(statement.order_by(_audit.c.version.desc()).limit(MOST_STEPS)).all()
        return state, [(row.from_state, row.to_state) for row in rows]

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

    def activity(
        self, wanted: ActivityFilter, before: Place | None = None, limit: int = PAGE
    ) -> tuple[list[dict[str, Any]], Place | None]:
        """Give a page of the changes of all batches, newest first, and the place where the next page begins, or None.

        A page looks at MOST_SCANNED changes: where few of them match, it is short, and the next page goes on.
        """
        newest = _activity(wanted, before)
        with reading(self._engine) as connection:
            rows = connection.execute(_wanted(newest, wanted).limit(limit + 1)).all()
            last: Any = rows[limit - 1] if len(rows) > limit else None
            if last is None:
                in_order = select(newest.c.at, newest.c.batch_id, newest.c.version)
                in_order = in_order.order_by(newest.c.at.desc(), newest.c.batch_id.desc(), newest.c.version.desc())
                last = connection.execute(in_order.offset(MOST_SCANNED - 1).limit(1)).one_or_none()
            views = _views(connection, rows[:limit])
        found = [
            {"batch_id": row.batch_id, "batch_name": row.name, **view}
            for row, view in zip(rows[:limit], views, strict=True)
        ]
        return found, last and Place(last.at, last.batch_id, last.version)

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
