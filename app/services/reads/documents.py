"""The documents of a batch: listed, downloaded, and found by name. The files of a folder are with the workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, bindparam, func, literal, select

from app import db
from app.db import reading
from app.domain.times import rfc3339
from app.errors import Busy, Forbidden, NotFound
from app.models import Document
from app.services.batch.batch_rows import look
from app.services.reads.tasks import is_being_read

MOST_NAMES = 500
MOST_LOOKED_AT = 5_000  # documents among which a page finds a name
PIECE = 2 * 1024 * 1024  # bytes of a file, or characters of a text, that are in memory at once

_documents = db.table_of(Document)
_LISTED = select(*(_documents.c[name] for name in ("id", "number", "name", "media_type", "size_bytes", "sha256")))
_KEPT = ("content", "text")  # where what was uploaded is; the file of a path is with the workers
_ABOUT = select(
    *(_documents.c[name] for name in ("batch_id", "media_type", "sha256", "erased_at")),
    *(_documents.c[name].is_not(None).label(name) for name in _KEPT),
).where(_documents.c.id == bindparam("of_document"))


def _piece_of(column: Any) -> Any:
    piece = func.substr(column, bindparam("begin"), PIECE, type_=column.type).label("piece")
    same = (_documents.c.id == bindparam("of_document"), _documents.c.sha256 == bindparam("read_sha256"))
    return select(piece, literal(1)).where(*same, _documents.c.erased_at.is_(None))


_PIECES = {name: _piece_of(_documents.c[name]) for name in _KEPT}


@dataclass(frozen=True)
class Content:
    """What was uploaded as a document, to be read in pieces, which raise Busy if it is replaced or erased meanwhile."""

    media_type: str
    pieces: Iterator[bytes]


class Documents:
    """Reads documents."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(
        self, batch_id: int, limit: int = 50, after: int = 0, name: str = ""
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Give a page of a batch's documents after a number, without their content, and the next cursor, or None.

        `name` is a part of their names, in any case, looked for among the next MOST_LOOKED_AT: a page may be short.
        Raises NotFound.
        """
        next_ones = (_documents.c.batch_id == batch_id, _documents.c.number > after)
        statement = _LISTED.where(*next_ones).order_by(_documents.c.number).limit(limit + 1)
        in_order = select(_documents.c.number).where(*next_ones).order_by(_documents.c.number)
        if name:
            looked_at = in_order.limit(MOST_LOOKED_AT).subquery("looked_at")
            statement = statement.where(
                _documents.c.number.in_(select(looked_at.c.number)), _documents.c.name.icontains(name, autoescape=True)
            )
        with reading(self._engine) as connection:
            look(connection, batch_id)
            rows = connection.execute(statement).mappings().all()
            further = rows[limit - 1]["number"] if len(rows) > limit else None
            if name and further is None:
                further = connection.execute(in_order.offset(MOST_LOOKED_AT - 1).limit(1)).scalar()
        return [dict(row) for row in rows[:limit]], further

    def content(self, document_id: int, for_worker: bool = False) -> Content:
        """Read an uploaded document. A worker reads it only while a task for which it needs it is leased.

        Raises NotFound, Forbidden.
        """
        with reading(self._engine) as connection:
            row = connection.execute(_ABOUT, {"of_document": document_id}).one_or_none()
            if row is not None:
                look(connection, row.batch_id)
            if row is not None and for_worker and not is_being_read(connection, document_id):
                raise Forbidden("A worker may read a document only while it holds a task that needs it.")
        if row is not None and row.erased_at is not None:
            raise NotFound("content of document", document_id, f"it was erased on {rfc3339(row.erased_at)}")
        kept = next((name for name in _KEPT if row is not None and getattr(row, name)), None)
        if row is None or kept is None:
            raise NotFound("content of document", document_id)
        return Content(row.media_type, self._pieces(_PIECES[kept], document_id, row.sha256))

    def _pieces(self, statement: Any, document_id: int, sha256: str) -> Iterator[bytes]:
        values = {"of_document": document_id, "read_sha256": sha256}
        begin = 1
        while True:
            with reading(self._engine) as connection:
                row = connection.execute(statement, {**values, "begin": begin}).one_or_none()
            if row is None:
                raise Busy("The document was replaced or erased while it was being read.")
            piece = row.piece or b""  # SQLite has NULL beyond the end
            yield piece.encode() if isinstance(piece, str) else piece
            if len(piece) < PIECE:
                return
            begin += PIECE

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
