"""Deletes the bytes of files that nobody can read any more: deleted, expired, or never finished."""

import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, delete, or_, select, update

from app import db
from app.db import reading, transaction
from app.models import File, FileBatch, FileChunk, FilePart, Upload

ABANDONED = timedelta(hours=24)  # a file that is not finished by then was given up by its process
SLICE = 64  # chunks deleted by one transaction
SECONDS = 1.0  # the share of a pass of the sweeper

_files, _uploads, _file_batches = db.table_of(File), db.table_of(Upload), db.table_of(FileBatch)
_parts, _chunks = db.table_of(FilePart), db.table_of(FileChunk)
_now = bindparam("now", type_=db.UtcTime)
_is_input = (  # of a batch that has not ended: its lines may be unread
    select(_file_batches.c.batch_id)
    .where(_file_batches.c.file_id == _files.c.id, _file_batches.c.settled_at.is_(None))
    .exists()
)
_FILES = (
    select(_files.c.id)
    .where(
        _files.c.purged_at.is_(None),
        ~_is_input,
        or_(
            _files.c.deleted_at.is_not(None),
            _files.c.expires_at <= _now,
            and_(_files.c.ready_at.is_(None), _files.c.created_at <= bindparam("abandoned", type_=db.UtcTime)),
        ),
    )
    .order_by(_files.c.id)
    .limit(1)
)
# Not before its time is over, although it was cancelled: a part of it may still be on its way.
_UPLOADS = (
    select(_uploads.c.id)
    .where(_uploads.c.purged_at.is_(None), _uploads.c.expires_at <= _now)
    .order_by(_uploads.c.id)
    .limit(1)
)


def purge(engine: Engine) -> None:
    """Delete bytes for up to SECONDS; what is left is deleted in the next pass."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and _purge_one(engine):
        pass


def _purge_one(engine: Engine) -> bool:
    """Delete a slice of the bytes of one file or upload; return False if there is none."""
    with reading(engine) as connection:
        now = db.now(connection)
        file_id = connection.execute(_FILES, {"now": now, "abandoned": now - ABANDONED}).scalar_one_or_none()
        upload_id = connection.execute(_UPLOADS, {"now": now}).scalar_one_or_none()
    if file_id is None and upload_id is None:
        return False
    with transaction(engine) as connection:
        if file_id is not None:
            _purge(connection, _parts.c.file_id == file_id, update(_files).where(_files.c.id == file_id), now)
        else:
            unused = and_(_parts.c.upload_id == upload_id, _parts.c.file_id.is_(None))
            _purge(connection, unused, update(_uploads).where(_uploads.c.id == upload_id), now)
    return True


def _purge(connection: Connection, of_owner: Any, owner: Any, now: datetime) -> None:
    ids: list[int] = list(connection.execute(select(_parts.c.id).where(of_owner)).scalars())
    found = select(_chunks.c.part_id, _chunks.c.number).where(_chunks.c.part_id.in_(ids)).limit(SLICE)
    chunks = connection.execute(found).all() if ids else []
    for part_id, number in chunks:
        connection.execute(delete(_chunks).where(_chunks.c.part_id == part_id, _chunks.c.number == number))
    if len(chunks) < SLICE:
        connection.execute(delete(_parts).where(_parts.c.id.in_(ids)))
        connection.execute(owner.values(purged_at=now))
