"""The workers, each by the name it gives when it leases. Never written in the transaction of a lease."""

from datetime import datetime

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, BigId, UtcTime


class WorkerSighting(Base):
    """When a worker was first and last seen, and what it did between: some seconds behind."""

    __tablename__ = "worker_sightings"

    worker: Mapped[str] = mapped_column(String(200), primary_key=True)
    first_seen_at: Mapped[datetime] = mapped_column(UtcTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcTime)
    last_work_at: Mapped[datetime | None] = mapped_column(UtcTime)  # it leased a task or reported one, no heartbeats
    leased: Mapped[int] = mapped_column(BigId)  # tasks given to it
    completed: Mapped[int] = mapped_column(BigId)  # reports that counted
    failed: Mapped[int] = mapped_column(BigId)  # reports of failed attempts that counted
    # Reports that counted in the last minute in which it was seen, and in the minute before: its rate.
    minute: Mapped[int] = mapped_column(BigId)  # counted from 1970
    minute_reports: Mapped[int] = mapped_column(BigId)
    previous_reports: Mapped[int] = mapped_column(BigId)

    can: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))  # announced last; None: everything

    __table_args__ = (Index("ix_worker_sightings_last_seen_at", "last_seen_at"),)  # newest first; old ones dropped
