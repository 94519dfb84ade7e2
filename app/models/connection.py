"""The circuits of connections: what workers reported of the servers that they call.

Only circuits that were ever closed or slowed have a row; all others are open.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, String, Text, literal_column
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, UtcTime
from app.domain.connection.circuits import CircuitState, ErrorClass, Probe
from app.models.batch import one_of

ALL_MODELS = ""  # in the place of a model: the circuit is that of the whole connection


class Circuit(Base):
    __tablename__ = "circuits"

    connection: Mapped[str] = mapped_column(String(200), primary_key=True)
    model: Mapped[str] = mapped_column(String(200), primary_key=True)  # or ALL_MODELS
    state: Mapped[str] = mapped_column(String(6))
    since: Mapped[datetime] = mapped_column(UtcTime)  # when it came into its state
    error_class: Mapped[str | None] = mapped_column(String(10))  # of the last failure, while it is closed
    reason: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int]  # in a row
    failed_at: Mapped[datetime | None] = mapped_column(UtcTime)  # when the last failure that counted was reported
    next_try_at: Mapped[datetime | None] = mapped_column(UtcTime)  # when the next probe is due, while it is closed
    probe: Mapped[str | None] = mapped_column(String(8))  # how it is probed now, or how a call ended
    reported_by: Mapped[str] = mapped_column(String(200))
    reported_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (
        CheckConstraint(one_of("state", CircuitState), name="state"),
        CheckConstraint(f"error_class IS NULL OR {one_of('error_class', ErrorClass)}", name="error_class"),
        CheckConstraint(f"probe IS NULL OR {one_of('probe', Probe)}", name="probe"),
        CheckConstraint(f"(state = '{CircuitState.CLOSED}') = (next_try_at IS NOT NULL)", name="next_try_at"),
    )


# For queries: it has no parameter, so that a prepared statement can have it.
IS_CLOSED = Circuit.state == literal_column(f"'{CircuitState.CLOSED}'")
