"""Which batches the service has paused because of a connection, and wait for it still. Reads only."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import aliased

from app.domain.roles import SYSTEM
from app.domain.transitions import BatchState, Kind
from app.models import AuditRow, Batch
from app.models.connection import ALL_MODELS

ACTOR = f"{SYSTEM}:connection"
Key = tuple[str, str]  # of a circuit: connection and model

_latest = aliased(AuditRow)
_last_change = (
    select(func.max(_latest.version))
    .where(_latest.batch_id == Batch.id, _latest.kind != Kind.EDIT)
    .correlate(Batch)
    .scalar_subquery()
)
_PAUSED = (
    select(Batch.id, Batch.version, Batch.auto_resume, AuditRow.context)
    .join(AuditRow, AuditRow.batch_id == Batch.id)
    .where(
        Batch.state == BatchState.PAUSED,
        Batch.archived_at.is_(None),
        AuditRow.actor == ACTOR,
        AuditRow.version == _last_change,
    )
    .order_by(Batch.id)
)


class PausedBatch(NamedTuple):
    """A batch that is paused until one of these circuits is no longer closed."""

    batch_id: int
    version: int
    auto_resume: bool
    circuits: frozenset[Key]


def paused(connection: Connection) -> list[PausedBatch]:
    """List the batches that the service has paused because of connections; a rename since then changes nothing."""
    return [_paused(row) for row in connection.execute(_PAUSED)]


def _paused(row: Any) -> PausedBatch:
    keys = frozenset((each["connection"], each["model"] or ALL_MODELS) for each in row.context["connections"])
    return PausedBatch(row.id, row.version, row.auto_resume, keys)
