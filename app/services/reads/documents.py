"""The documents of a batch: listed, downloaded, and found by name. The files of a folder are with the workers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, select

from app import db
from app.db import reading
from app.domain.times import rfc3339
from app.errors import Forbidden, NotFound
from app.models import Document
from app.services.batch.batch_rows import look
from app.services.reads.tasks import is_being_staged

MOST_NAMES = 500

_documents = db.table_of(Document)
_LISTED = select(*(_documents.c[name] for name in ("id", "number", "name", "media_type", "size_bytes", "sha256")))
_CONTENT = select(*(_documents.c[name] for name in ("batch_id", "name", "media_type", "content", "text", "erased_at")))


class Documents:
    """Reads documents."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(self, batch_id: int, limit: int = 50, after: int = 0) -> tuple[list[dict[str, Any]], int | None]:
        """Give a page of a batch's documents after a number, without their content, and the next cursor, or None.

        Raises NotFound.
        """
        statement = (
            _LISTED.where(_documents.c.batch_id == batch_id, _documents.c.number > after)
            .order_by(_documents.c.number)
            .limit(limit + 1)
        )
        with reading(self._engine) as connection:
            look(connection, batch_id)
            rows = connection.execute(statement).mappings().all()
        return [dict(row) for row in rows[:limit]], rows[limit - 1]["number"] if len(rows) > limit else None

    def content(self, document_id: int, for_worker: bool = False) -> Any:
        """Read an uploaded document: a row of `name`, `media_type`, and `content` or `text`.

        A worker reads it only while a task to stage it is leased. Raises NotFound, Forbidden.
        """
        with reading(self._engine) as connection:
            row = connection.execute(_CONTENT.where(_documents.c.id == document_id)).one_or_none()
            if row is not None:
                look(connection, row.batch_id)
            if row is not None and for_worker and not is_being_staged(connection, document_id):
                raise Forbidden("A worker may read a document only while it holds the task to stage it.")
        if row is not None and row.erased_at is not None:
            raise NotFound("content of document", document_id, f"it was erased on {rfc3339(row.erased_at)}")
        if row is None or (row.content is None and row.text is None):  # the file is in a folder of the workers
            raise NotFound("content of document", document_id)
        return row

    def named(self, batch_id: int, names: Sequence[str]) -> list[dict[str, Any]]:
        """List the batch's own documents with these names (the first 500): name, size and hash. Raises NotFound."""
        statement = (
            select(_documents.c.name, _documents.c.size_bytes, _documents.c.sha256)
            .where(
                _documents.c.batch_id == batch_id,
                _documents.c.run.is_(None),
                _documents.c.name.in_(list(names)[:MOST_NAMES]),
            )
            .limit(2 * MOST_NAMES)
        )
        with reading(self._engine) as connection:
            look(connection, batch_id)
            return [dict(row) for row in connection.execute(statement).mappings()]
