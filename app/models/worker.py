"""Who works: each worker by the name it gives when it leases. Written beside the queue, never within a lease."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, BigId, UtcTime


class WorkerSighting(Base):
    """When a worker was last heard of, and what it did since it was first: as of some seconds ago."""

    __tablename__ = "worker_sightings"

    worker: Mapped[str] = mapped_column(String(200), primary_key=True)
    first_seen_at: Mapped[datetime] = mapped_column(UtcTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcTime)
    leased: Mapped[int] = mapped_column(BigId)  # tasks given to it
    completed: Mapped[int] = mapped_column(BigId)  # reports that counted
    failed: Mapped[int] = mapped_column(BigId)  # of them: attempts that failed, tried again or not
    # Reports that counted in the last minute it was heard in, and in the one before: its rate.
    minute: Mapped[int] = mapped_column(BigId)  # since 1970
    minute_reports: Mapped[int] = mapped_column(BigId)
    previous_reports: Mapped[int] = mapped_column(BigId)

    __table_args__ = (Index("ix_worker_sightings_last_seen_at", "last_seen_at"),)  # newest first; old ones dropped
