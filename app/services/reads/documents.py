"""The documents of a batch: listed, downloaded, and found by name. The files of a folder are with the workers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, select

from app import db
from app.db import reading
from app.errors import NotFound
from app.models import Document
from app.services.batch.batch_rows import look

MOST_NAMES = 500

_documents = db.table_of(Document)
_LISTED = select(*(_documents.c[name] for name in ("id", "number", "name", "media_type", "size_bytes", "sha256")))
_CONTENT = select(_documents.c.name, _documents.c.media_type, _documents.c.content, _documents.c.text)


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

    def content(self, document_id: int) -> Any:
        """Read an uploaded document: a row of `name`, `media_type`, and `content` or `text`. Raises NotFound."""
        with reading(self._engine) as connection:
            row = connection.execute(_CONTENT.where(_documents.c.id == document_id)).one_or_none()
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
