"""Uploads: a file that is sent in parts, and becomes a file when it is completed."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update

from app import db
from app.db import reading, transaction
from app.domain.file.files import (
    FILE,
    MOST_PART_BYTES,
    MOST_PARTS,
    PART,
    UPLOAD,
    UPLOAD_SECONDS,
    Purpose,
    UploadStatus,
    number_of,
)
from app.domain.roles import SYSTEM
from app.errors import Invalid, NotFound
from app.models import FilePart
from app.models import Upload as UploadRow
from app.services.file import files
from app.services.file.chunks import PartWriter, read_parts
from app.services.file.files import NewFile, StoredFile

log = structlog.get_logger()

_uploads = db.table_of(UploadRow)
_parts = db.table_of(FilePart)
_PART_COUNT = select(func.count()).where(_parts.c.upload_id == bindparam("of_upload"))


@dataclass(frozen=True)
class NewUpload:
    """What its creator announces: the file, its type and its size."""

    file: NewFile
    mime_type: str
    size_bytes: int


@dataclass(frozen=True)
class Upload:
    """An upload, and its file when it is completed."""

    id: int
    filename: str
    purpose: str
    size_bytes: int
    status: UploadStatus
    created_at: datetime
    expires_at: datetime
    file: StoredFile | None = None


@dataclass(frozen=True)
class Part:
    """A part that was received."""

    id: int
    created_at: datetime


class PartDraft:
    """A part whose bytes are being written with `writer`."""

    def __init__(self, engine: Engine, writer: PartWriter, created_at: datetime) -> None:
        self._engine = engine
        self._created_at = created_at
        self.writer = writer

    def finish(self) -> Part:
        """Count the part as received."""
        self.writer.flush()
        with transaction(self._engine) as connection:
            part = update(_parts).where(_parts.c.id == self.writer.part_id)
            connection.execute(part.values(size_bytes=self.writer.size_bytes))
        return Part(self.writer.part_id, self._created_at)


class Uploads:
    """The uploads of a database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, new: NewUpload) -> Upload:
        """Begin an upload; it expires after UPLOAD_SECONDS."""
        values = {
            "filename": new.file.filename,
            "purpose": new.file.purpose,
            "mime_type": new.mime_type,
            "size_bytes": new.size_bytes,
            "lifetime_seconds": new.file.lifetime_seconds,
            "status": UploadStatus.PENDING,
        }
        with transaction(self._engine) as connection:
            now = db.now(connection)
            times = {"created_at": now, "expires_at": now + timedelta(seconds=UPLOAD_SECONDS)}
            row = connection.execute(insert(_uploads).values(**values, **times).returning(*_uploads.c)).one()
            return _upload(row, now)

    @contextmanager
    def draft(self, ident: str) -> Iterator[PartDraft]:
        """Begin a part of an upload. Raises NotFound, Invalid."""
        with transaction(self._engine) as connection:
            row, now = _pending(connection, ident)
            if connection.execute(_PART_COUNT, {"of_upload": row.id}).scalar_one() >= MOST_PARTS:
                raise Invalid(f"The upload has {MOST_PARTS:,} parts already.")
            values = {"upload_id": row.id, "created_at": now}
            part_id: int = connection.execute(insert(_parts).returning(_parts.c.id), values).scalar_one()
        yield PartDraft(self._engine, PartWriter(self._engine, part_id, MOST_PART_BYTES), now)

    def complete(self, ident: str, part_idents: Sequence[str], md5: str | None, actor: str = SYSTEM) -> Upload:
        """Make a file of the named parts, in this order. Raises NotFound, Invalid."""
        with reading(self._engine) as connection:
            row, _ = _pending(connection, ident)
            wanted = self._wanted(connection, row, part_idents)
        if md5 is not None and self._md5(wanted) != md5.strip().lower():
            raise _refused("md5", "The md5 of the parts is another one.")
        with transaction(self._engine) as connection:
            row, now = _pending(connection, ident)
            file_id = files.begin(connection, now)
            for number, part_id in enumerate(wanted, 1):
                part = update(_parts).where(_parts.c.id == part_id, _parts.c.file_id.is_(None))
                connection.execute(part.values(file_id=file_id, number=number))
            new = NewFile(row.filename, Purpose(row.purpose), row.lifetime_seconds)
            stored = files.make_ready(connection, file_id, new, row.size_bytes)
            row = _changed(connection, row.id, status=UploadStatus.COMPLETED, file_id=file_id)
        log.info("file_created", file_id=stored.id, bytes=stored.size_bytes, actor=actor)
        return _upload(row, now, stored)

    def completed(self, ident: str) -> Upload | None:
        """Show an upload that was completed, and its file; None if it was not, or if the file is gone."""
        with reading(self._engine) as connection:
            row = connection.execute(select(_uploads).where(_uploads.c.id == number_of(UPLOAD, ident))).one_or_none()
            stored = files.find(connection, f"{FILE}{row.file_id}") if row is not None else None
            return None if stored is None else _upload(row, db.now(connection), stored)

    def cancel(self, ident: str) -> Upload:
        """Give an upload up; its bytes are deleted later. Raises NotFound, Invalid."""
        with transaction(self._engine) as connection:
            row, now = _pending(connection, ident)
            return _upload(_changed(connection, row.id, status=UploadStatus.CANCELLED), now)

    def _wanted(self, connection: Connection, upload: Any, part_idents: Sequence[str]) -> list[int]:
        received = select(_parts.c.id, _parts.c.size_bytes).where(_parts.c.upload_id == upload.id)
        sizes = {row.id: row.size_bytes for row in connection.execute(received) if row.size_bytes is not None}
        wanted = [number_of(PART, each) for each in part_idents]
        for part_id, name in zip(wanted, part_idents, strict=True):
            if part_id not in sizes:
                raise _refused("part_ids", f"The upload has no part {name!r}.")
        if len(set(wanted)) != len(wanted):
            raise _refused("part_ids", "A part is named twice.")
        if (total := sum(sizes[part_id] for part_id in wanted)) != upload.size_bytes:
            raise _refused("part_ids", f"The parts have {total} bytes; the upload announced {upload.size_bytes}.")
        return wanted

    def _md5(self, wanted: list[int]) -> str:
        md5 = hashlib.md5(usedforsecurity=False)
        for data in read_parts(self._engine, wanted):
            md5.update(data)
        return md5.hexdigest()


def _pending(connection: Connection, ident: str) -> tuple[Any, datetime]:
    """Lock an upload that still takes parts, and read the time. Raises NotFound, Invalid."""
    statement = select(_uploads).where(_uploads.c.id == number_of(UPLOAD, ident))
    row = connection.execute(statement.with_for_update()).one_or_none()
    now = db.now(connection)
    if row is None:
        raise NotFound("upload", ident)
    status = _status(row, now)
    if status is not UploadStatus.PENDING:
        raise Invalid(f"The upload is {status}.")
    return row, now


def _changed(connection: Connection, upload_id: int, **values: Any) -> Any:
    statement = update(_uploads).where(_uploads.c.id == upload_id).values(values)
    return connection.execute(statement.returning(*_uploads.c)).one()


def _status(row: Any, now: datetime) -> UploadStatus:
    is_over = row.status == UploadStatus.PENDING and row.expires_at <= now
    return UploadStatus.EXPIRED if is_over else UploadStatus(row.status)


def _upload(row: Any, now: datetime, stored: StoredFile | None = None) -> Upload:
    status = _status(row, now)
    return Upload(row.id, row.filename, row.purpose, row.size_bytes, status, row.created_at, row.expires_at, stored)


def _refused(name: str, message: str) -> Invalid:
    return Invalid(message, errors={name: [message]})
