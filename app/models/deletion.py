"""Deletions that have begun and are not finished. An audit row of the batch records that each of them began."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, BigId, UtcTime

WHOLE_BATCH = 0


class Deletion(Base):
    """Content that is deleted slice by slice, in short transactions; the row goes with the last slice.

    A process that dies in between leaves the row, and the sweeper goes on.
    """

    __tablename__ = "deletions"

    batch_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    # The answers of the runs before this one; WHOLE_BATCH for all that belongs to the batch.
    before_run: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    began_at: Mapped[datetime] = mapped_column(UtcTime)
