"""The audit rows, one for each change of a batch, and the requests that waited for a locked batch."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, BigId, UtcTime
from app.domain.request_status import RequestStatus
from app.domain.transitions import BatchState, Kind
from app.models.batch import one_of


class AuditRow(Base):
    """The record of one change, written in its transaction. The database refuses to change or delete it."""

    __tablename__ = "audit_log"

    # One row for each version: of two writers that make the same version, the database refuses the second.
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"), primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    trigger: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(8))
    from_state: Mapped[str | None] = mapped_column(String(16))
    to_state: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    context: Mapped[dict[str, Any]] = mapped_column(JSON)
    request_id: Mapped[str | None] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (
        CheckConstraint(one_of("kind", Kind), name="kind"),
        CheckConstraint(one_of("from_state", BatchState), name="from_state"),
        CheckConstraint(one_of("to_state", BatchState), name="to_state"),
        Index("ix_audit_log_at", "at"),  # the event feed reads the newest rows
    )


_QUEUED = f"status = '{RequestStatus.QUEUED}'"


class StateChangeRequest(Base):
    """A request that waits for a locked batch. No foreign key: its check would wait for the same lock."""

    __tablename__ = "state_change_requests"

    seq: Mapped[int] = mapped_column(BigId, primary_key=True)  # the order in which the requests came
    id: Mapped[str] = mapped_column(String(64), unique=True)
    batch_id: Mapped[int] = mapped_column(BigId)
    action: Mapped[str] = mapped_column(String(32))
    context: Mapped[dict[str, Any]] = mapped_column(JSON)
    actor: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    if_version: Mapped[int | None]
    status: Mapped[str] = mapped_column(String(8), default=RequestStatus.QUEUED)
    reason: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcTime)

    __table_args__ = (
        CheckConstraint(one_of("status", RequestStatus), name="status"),
        Index(
            "ix_state_change_requests_queued",  # the requests that wait for a batch, in order
            "batch_id",
            "seq",
            postgresql_where=text(_QUEUED),
            sqlite_where=text(_QUEUED),
        ),
        Index("ix_state_change_requests_of_batch", "batch_id", "seq"),  # all requests of a batch, in order
    )


# For queries. SQLite uses a partial index only if the statement contains its condition as text.
IS_WAITING = StateChangeRequest.status == literal_column(f"'{RequestStatus.QUEUED}'")
