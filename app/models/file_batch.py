"""What a batch has beside its row when it is made of a file, by OpenAI's API."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, BigId, UtcTime


class FileBatch(Base):
    __tablename__ = "file_batches"

    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"), primary_key=True, autoincrement=False)
    file_id: Mapped[int | None] = mapped_column(BigId)  # null: there was no such file when the batch was created
    endpoint: Mapped[str] = mapped_column(String(64))
    completion_window: Mapped[str] = mapped_column(String(16))
    pairs: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSON(none_as_null=True))
    output_lifetime_seconds: Mapped[int | None]
    reuses: Mapped[bool]  # whether equal lines share an answer in a later run; else they are samples
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    fingerprint: Mapped[str] = mapped_column(String(64))  # of the caller's token and the body of the call

    # Actions that are still to be requested, each in the name of its caller: a crash loses none.
    actor: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    request_id: Mapped[str | None] = mapped_column(String(64))
    run_wanted: Mapped[bool]
    cancel_wanted: Mapped[bool]
    cancel_actor: Mapped[str | None] = mapped_column(String(200))
    cancel_role: Mapped[str | None] = mapped_column(String(16))
    cancel_request_id: Mapped[str | None] = mapped_column(String(64))
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcTime)  # when the cancel was requested

    # What reading the file found out.
    model: Mapped[str | None] = mapped_column(String(200))  # of all lines, if they have the same
    errors: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))

    # The files of a run that has ended, and what it used. Settled: they are made, and do not change any more.
    settled_run: Mapped[int]
    settled_at: Mapped[datetime | None] = mapped_column(UtcTime)
    output_file_id: Mapped[int | None] = mapped_column(BigId)
    error_file_id: Mapped[int | None] = mapped_column(BigId)
    usage: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    __table_args__ = (
        # The batches for which something is still to be done.
        Index(
            "ix_file_batches_open",
            "batch_id",
            postgresql_where=text("settled_at IS NULL"),
            sqlite_where=text("settled_at IS NULL"),
        ),
        Index("ix_file_batches_fingerprint", "fingerprint", "batch_id"),  # a call that is repeated
    )
