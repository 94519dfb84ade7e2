"""Files: their bytes lie in chunks, and chunks in parts, so that an upload becomes a file without copying a byte."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, BigId, UtcTime
from app.domain.file.files import Purpose, UploadStatus
from app.models.batch import one_of


class File(Base):
    """A file, from its first byte on. The row stays when the file is deleted: its number is not given again."""

    __tablename__ = "files"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    filename: Mapped[str] = mapped_column(String(500))
    purpose: Mapped[str] = mapped_column(String(16))
    size_bytes: Mapped[int] = mapped_column(BigId)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    ready_at: Mapped[datetime | None] = mapped_column(UtcTime)  # null while its bytes are written
    expires_at: Mapped[datetime | None] = mapped_column(UtcTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcTime)
    purged_at: Mapped[datetime | None] = mapped_column(UtcTime)  # its bytes are gone
    # The run that it was made of: it goes with the answers of that run. No foreign key: see app/models/task.py.
    batch_id: Mapped[int | None] = mapped_column(BigId)
    run: Mapped[int | None]

    __table_args__ = (
        CheckConstraint(one_of("purpose", Purpose), name="purpose"),
        Index("ix_files_of_batch", "batch_id", "run"),
        # The files that still have bytes: a list, and the search for those whose bytes are to be deleted.
        Index(
            "ix_files_kept", "id", postgresql_where=text("purged_at IS NULL"), sqlite_where=text("purged_at IS NULL")
        ),
    )


class Upload(Base):
    """A file that is sent in parts; when it is completed, its parts are the file's."""

    __tablename__ = "uploads"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    filename: Mapped[str] = mapped_column(String(500))
    purpose: Mapped[str] = mapped_column(String(16))
    mime_type: Mapped[str] = mapped_column(String(200))
    size_bytes: Mapped[int] = mapped_column(BigId)  # as its creator announced it
    lifetime_seconds: Mapped[int | None]  # of the file
    status: Mapped[str] = mapped_column(String(16))
    file_id: Mapped[int | None] = mapped_column(BigId)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime)
    purged_at: Mapped[datetime | None] = mapped_column(UtcTime)  # the parts that no file has are gone

    __table_args__ = (CheckConstraint(one_of("status", UploadStatus), name="status"),)


class FilePart(Base):
    """A piece of a file, or of an upload that is not completed."""

    __tablename__ = "file_parts"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    upload_id: Mapped[int | None] = mapped_column(BigId)
    file_id: Mapped[int | None] = mapped_column(BigId)
    number: Mapped[int | None]  # its place in the file, from 1
    size_bytes: Mapped[int | None] = mapped_column(BigId)  # null while its bytes are written
    created_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (
        Index("uq_file_parts_number", "file_id", "number", unique=True),
        Index("ix_file_parts_of_upload", "upload_id"),
    )


class FileChunk(Base):
    """Some bytes of a part."""

    __tablename__ = "file_chunks"

    part_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # its place in the part, from 1
    data: Mapped[bytes] = mapped_column(LargeBinary)
