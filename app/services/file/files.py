"""Files: created as their bytes come, shown, listed, read and deleted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Select, and_, bindparam, insert, or_, select, update

from app import db
from app.db import reading, transaction
from app.domain.file.files import FILE, Purpose, number_of
from app.domain.roles import SYSTEM
from app.errors import NotFound
from app.models import File, FilePart
from app.services.file.chunks import PartWriter, part_ids, read_parts

log = structlog.get_logger()

_files = db.table_of(File)
_parts = db.table_of(FilePart)
_SHOWN = ("id", "filename", "purpose", "size_bytes", "created_at", "expires_at")
# The condition on `purged_at` is of the index: only files that have bytes are looked at.
_IS_THERE = and_(
    _files.c.purged_at.is_(None),
    _files.c.ready_at.is_not(None),
    _files.c.deleted_at.is_(None),
    or_(_files.c.expires_at.is_(None), _files.c.expires_at > bindparam("now", type_=db.UtcTime)),
)
_THERE = select(*(_files.c[name] for name in _SHOWN)).where(_IS_THERE)
_ONE = _THERE.where(_files.c.id == bindparam("file_id"))


@dataclass(frozen=True)
class StoredFile:
    """A file whose bytes are all there."""

    id: int
    filename: str
    purpose: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class NewFile:
    """What a file is to be: `lifetime_seconds` is None for a file that does not expire.

    A file that is made of a run of a batch names both, and is deleted with the answers of that run.
    """

    filename: str
    purpose: Purpose
    lifetime_seconds: int | None = None
    batch_id: int | None = None
    run: int | None = None


class FileDraft:
    """A file whose bytes are being written with `writer`; nobody sees it until `finish`."""

    def __init__(self, engine: Engine, file_id: int, writer: PartWriter) -> None:
        self._engine = engine
        self.file_id = file_id
        self.writer = writer

    def finish(self, new: NewFile, actor: str = SYSTEM) -> StoredFile:
        """Make the file visible under its name."""
        self.writer.flush()
        with transaction(self._engine) as connection:
            stored = self.finish_in(connection, new)
        log.info("file_created", file_id=stored.id, bytes=stored.size_bytes, actor=actor)
        return stored

    def finish_in(self, connection: Connection, new: NewFile) -> StoredFile:
        """Make the file visible in a transaction of the caller, who has flushed the writer."""
        size = self.writer.size_bytes
        connection.execute(update(_parts).where(_parts.c.id == self.writer.part_id).values(size_bytes=size))
        return make_ready(connection, self.file_id, new, size)

    def drop(self) -> None:
        """Give the file up: its bytes are deleted later."""
        with transaction(self._engine) as connection:
            mark_deleted(connection, self.file_id)


class Files:
    """The files of a database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def draft(self, most_bytes: int | None = None) -> Iterator[FileDraft]:
        """Begin a file; it is given up when the block raises."""
        with transaction(self._engine) as connection:
            now = db.now(connection)
            file_id = begin(connection, now)
            values = {"file_id": file_id, "number": 1, "created_at": now}
            part_id: int = connection.execute(insert(_parts).returning(_parts.c.id), values).scalar_one()
        draft = FileDraft(self._engine, file_id, PartWriter(self._engine, part_id, most_bytes))
        try:
            yield draft
        except BaseException:
            draft.drop()
            raise

    def show(self, ident: str) -> StoredFile:
        """Show a file by its id, such as `file-7`. Raises NotFound."""
        with reading(self._engine) as connection:
            stored = find(connection, ident)
        if stored is None:
            raise NotFound("file", ident)
        return stored

    def page(
        self, purpose: str | None, limit: int, after: int = 0, newest_first: bool = True
    ) -> tuple[list[StoredFile], bool]:
        """Give a page of files after the number `after` (0: from the beginning), and whether there are more."""
        statement = _sorted(_THERE, after, newest_first).limit(limit + 1)
        if purpose is not None:
            statement = statement.where(_files.c.purpose == purpose)
        with reading(self._engine) as connection:
            rows: Any = connection.execute(statement, {"now": db.now(connection)}).all()
        return [StoredFile(*row) for row in rows[:limit]], len(rows) > limit

    def content(self, stored: StoredFile) -> Iterator[bytes]:
        """Read the bytes of a file, a chunk at a time."""
        with reading(self._engine) as connection:
            ids = part_ids(connection, stored.id)
        return read_parts(self._engine, ids)

    def delete(self, ident: str, actor: str = SYSTEM) -> None:
        """Delete a file. Raises NotFound."""
        with transaction(self._engine) as connection:
            stored = find(connection, ident)
            if stored is None or not mark_deleted(connection, stored.id):
                raise NotFound("file", ident)
        log.info("file_deleted", file_id=stored.id, actor=actor)


def find(connection: Connection, ident: str) -> StoredFile | None:
    """Find a file by its id; None if there is none, or if it was deleted or has expired."""
    row: Any = connection.execute(_ONE, {"file_id": number_of(FILE, ident), "now": db.now(connection)}).one_or_none()
    return None if row is None else StoredFile(*row)


def begin(connection: Connection, now: datetime) -> int:
    """Insert the row of a file that has no byte yet; return its number."""
    values = {"filename": "", "purpose": Purpose.BATCH, "size_bytes": 0, "created_at": now}
    file_id: int = connection.execute(insert(_files).returning(_files.c.id), values).scalar_one()
    return file_id


def make_ready(connection: Connection, file_id: int, new: NewFile, size_bytes: int) -> StoredFile:
    """Make a file visible, whose parts are all written."""
    now = db.now(connection)
    expires_at = None if new.lifetime_seconds is None else now + timedelta(seconds=new.lifetime_seconds)
    stored = StoredFile(file_id, new.filename, new.purpose, size_bytes, now, expires_at)
    values = {name: getattr(stored, name) for name in _SHOWN if name != "id"}
    made_of = {"batch_id": new.batch_id, "run": new.run}
    connection.execute(update(_files).where(_files.c.id == file_id).values(ready_at=now, **values, **made_of))
    return stored


def mark_deleted(connection: Connection, file_id: int) -> bool:
    """Mark a file as deleted; return False if it was deleted before."""
    statement = update(_files).where(_files.c.id == file_id, _files.c.deleted_at.is_(None))
    return connection.execute(statement.values(deleted_at=db.now(connection))).rowcount == 1


def delete_of_batch(connection: Connection, batch_id: int, before_run: int) -> int:
    """Delete the files that were made of the runs of a batch before a run; return how many there were."""
    statement = update(_files).where(
        _files.c.batch_id == batch_id, _files.c.run < before_run, _files.c.deleted_at.is_(None)
    )
    return connection.execute(statement.values(deleted_at=db.now(connection))).rowcount


def _sorted(statement: Select[Any], after: int, newest_first: bool) -> Select[Any]:
    ident = _files.c.id
    if newest_first:
        return (statement.where(ident < after) if after else statement).order_by(ident.desc())
    return statement.where(ident > after).order_by(ident)
