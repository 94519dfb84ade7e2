"""Requests that met a locked batch: those of one batch, those of all batches that wait, and the outcomes."""

from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, select, tuple_

from app import db
from app.db import reading
from app.domain.request_status import RequestStatus
from app.domain.times import rfc3339
from app.errors import NotFound
from app.models import IS_WAITING, Batch, StateChangeRequest
from app.services.batch.batch_rows import look

MOST_ON_A_PAGE = 20  # waiting requests that the page of their batch shows

_requests = db.table_of(StateChangeRequest)
_NAMED = select(_requests, Batch.name.label("batch_name"), Batch.state.label("batch_state")).join(
    Batch, Batch.id == _requests.c.batch_id, isouter=True
)
# A literal: both databases use the partial index only when its condition stands in the statement.
_WAITING_FOR = (_requests.c.batch_id == bindparam("of_batch"), IS_WAITING)
_AMOUNT_WAITING = select(func.count()).where(*_WAITING_FOR)
_FIRST_WAITING = select(_requests).where(*_WAITING_FOR).order_by(_requests.c.seq).limit(MOST_ON_A_PAGE)
Place = tuple[int, int, int]  # batch id, sequence number of the request, its position in the queue


def request_view(row: Any) -> dict[str, Any]:
    """Show a request."""
    return {
        "id": row.id,
        "batch_id": row.batch_id,
        "action": row.action,
        "status": row.status,
        "reason": row.reason,
        "version": row.version,
        "actor": row.actor,
        "created_at": rfc3339(row.created_at),
        "expires_at": rfc3339(row.expires_at),
        "finished_at": rfc3339(row.finished_at),
    }


def _with_batch(row: Any) -> dict[str, Any]:
    return {
        **request_view(row),
        "batch_name": row.batch_name,
        "batch_state": row.batch_state,
        "role": row.role,
        "context_reason": (row.context or {}).get("reason"),
    }


def first_waiting(connection: Connection, batch_id: int) -> list[dict[str, Any]]:
    """Show the first requests that wait for a batch."""
    rows = connection.execute(_FIRST_WAITING, {"of_batch": batch_id})
    return [{**request_view(row), "queue_position": position} for position, row in enumerate(rows, 1)]


class Requests:
    """Reads requests."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def show(self, request_id: str) -> dict[str, Any]:
        """Show a request, with its position in the queue while it waits. Raises NotFound."""
        if not request_id.isalnum():
            raise NotFound("request", request_id)
        with reading(self._engine) as connection:
            row = connection.execute(select(_requests).where(_requests.c.id == request_id)).one_or_none()
            if row is None:
                raise NotFound("request", request_id)
            earlier = _AMOUNT_WAITING.where(_requests.c.seq <= row.seq)
            waits = row.status == RequestStatus.QUEUED
            position = connection.execute(earlier, {"of_batch": row.batch_id}).scalar_one() if waits else None
            return {**request_view(row), "queue_position": position}

    def page(self, batch_id: int, limit: int = 50, after: int = 0) -> tuple[list[dict[str, Any]], int | None]:
        """Give a page of a batch's requests in the order they came, and the cursor of the next page, or None.

        Raises NotFound.
        """
        statement = (
            select(_requests)
            .where(_requests.c.batch_id == batch_id, _requests.c.seq > after)
            .order_by(_requests.c.seq)
            .limit(limit + 1)
        )
        with reading(self._engine) as connection:
            look(connection, batch_id)
            rows = connection.execute(statement).all()
        return [request_view(row) for row in rows[:limit]], rows[limit - 1].seq if len(rows) > limit else None

    def waiting(self, limit: int = 50, after: Place | None = None) -> tuple[list[dict[str, Any]], Place | None]:
        """Give a page of the requests of all batches that wait, by batch and position, and the next page's cursor."""
        statement = _NAMED.where(IS_WAITING).order_by(_requests.c.batch_id, _requests.c.seq).limit(limit + 1)
        if after is not None:
            statement = statement.where(tuple_(_requests.c.batch_id, _requests.c.seq) > after[:2])
        with reading(self._engine) as connection:
            rows = connection.execute(statement).all()
        views: list[dict[str, Any]] = []
        place = after or (0, 0, 0)
        for row in rows[:limit]:
            place = (row.batch_id, row.seq, place[2] + 1 if row.batch_id == place[0] else 1)
            views.append({**_with_batch(row), "queue_position": place[2]})
        return views, place if len(rows) > limit else None

    def outcomes(self, limit: int = 50, before: int | None = None) -> tuple[list[dict[str, Any]], int | None]:
        """Give a page of the requests that were decided or expired, newest first, and the next page's cursor."""
        statement = _NAMED.where(~IS_WAITING).order_by(_requests.c.seq.desc()).limit(limit + 1)
        if before is not None:
            statement = statement.where(_requests.c.seq < before)
        with reading(self._engine) as connection:
            rows = connection.execute(statement).all()
        return [_with_batch(row) for row in rows[:limit]], rows[limit - 1].seq if len(rows) > limit else None
