"""The requests that met a locked batch, over all batches: who waits where, and what became of the others."""

from typing import Any

from sqlalchemy import Engine, literal_column, select, tuple_

from app import db
from app.db import reading
from app.models import Batch, StateChangeRequest
from app.services.reads.row_views import request_view

_requests = db.table_of(StateChangeRequest)
_NAMED = select(_requests, Batch.name.label("batch_name"), Batch.state.label("batch_state")).join(
    Batch, Batch.id == _requests.c.batch_id, isouter=True
)
# In so many words, so that the partial index serves it on both databases.
_IS_QUEUED = _requests.c.status == literal_column("'QUEUED'")
Place = tuple[int, int, int]  # batch id, number of the request, its position


class WaitingRequests:
    """Requests, whichever batch they are for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def waiting(self, limit: int = 50, after: Place | None = None) -> list[tuple[Place, dict[str, Any]]]:
        """List who waits, batch by batch in the order they came, from the place `after` on, each with its place."""
        statement = _NAMED.where(_IS_QUEUED).order_by(_requests.c.batch_id, _requests.c.seq).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(_requests.c.batch_id, _requests.c.seq) > after[:2])
        found: list[tuple[Place, dict[str, Any]]] = []
        batch_id, _, position = after or (0, 0, 0)
        with reading(self._engine) as connection:
            for row in connection.execute(statement):
                position = position + 1 if row.batch_id == batch_id else 1
                batch_id = row.batch_id
                found.append(((batch_id, row.seq, position), {**_view(row), "queue_position": position}))
        return found

    def outcomes(self, limit: int = 50, before: int | None = None) -> list[tuple[int, dict[str, Any]]]:
        """List the requests that were answered, the last to come first, each with its number."""
        statement = _NAMED.where(~_IS_QUEUED).order_by(_requests.c.seq.desc()).limit(limit)
        if before is not None:
            statement = statement.where(_requests.c.seq < before)
        with reading(self._engine) as connection:
            return [(row.seq, _view(row)) for row in connection.execute(statement)]


def _view(row: Any) -> dict[str, Any]:
    reason = (row.context or {}).get("reason")
    return {
        **request_view(row),
        "batch_name": row.batch_name,
        "batch_state": row.batch_state,
        "role": row.role,
        "asked_because": reason,
    }
