"""The progress of a run over time: its sums at one moment, for charts and for the rate. No rule reads them."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, BigId, UtcTime


class ProgressSample(Base):
    __tablename__ = "progress_samples"

    # A chart reads them in the order of this key, and the last one is found by it.
    batch_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    run: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcTime, primary_key=True)
    number: Mapped[int]  # from 1 within the run; counted anew when the run is thinned
    gap_seconds: Mapped[int]  # until the next one: doubled when the run is thinned
    finished: Mapped[int] = mapped_column(BigId)  # analysis tasks that are COMPLETED or FAILED
    attempts: Mapped[int] = mapped_column(BigId)  # calls that were reported
    failures: Mapped[int] = mapped_column(BigId)  # of the attempts
    timed: Mapped[int] = mapped_column(BigId)  # of the attempts: those with a latency
    latency_ms: Mapped[int] = mapped_column(BigId)  # added up
    cost_nanos: Mapped[int] = mapped_column(BigId)
