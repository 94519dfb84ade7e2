"""The write of a change: a batch's row by its version, and the audit row that tells of it, in one transaction.

LockedBatch alone calls it for a change, BatchService for a creation. It decides nothing.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from app import db
from app.domain.transitions import BatchState, Kind
from app.errors import Busy
from app.models import AuditRow, Batch
from app.services.batch.batch_rows import BatchRecord
from app.services.batch.orders import Order

# What a change may touch; the rest of the row is as it was created.
_WRITABLE = (
    "name", "description", "state", "version", "run", "document_count", "max_cost_nanos", "max_tokens",
    "max_failure_rate", "reuse", "failure_code", "failure_message", "failure_task_id", "updated_at", "staged_at",
    "started_at", "finished_at", "archived_at",
)  # fmt: skip
_batches = db.table_of(Batch)
_audit = db.table_of(AuditRow)

_WRITE = (
    update(_batches)
    .where(
        _batches.c.id == bindparam("read_id"),
        _batches.c.version == bindparam("read_version"),
        _batches.c.state == bindparam("read_state"),
    )
    .values({name: bindparam(f"new_{name}") for name in _WRITABLE})
)
_AUDITED = [column.name for column in _audit.c]
_said = [bindparam(f"said_{name}", type_=_audit.c[name].type) for name in _AUDITED if name != "batch_id"]
_written = _WRITE.returning(_batches.c.id).cte("written")
# On PostgreSQL one statement: 0 rows are written of both, or 1 of each.
_WRITE_AND_APPEND = (
    insert(_audit)
    .from_select(_AUDITED, select(_written.c.id, *_said))
    .add_cte(_written)
    .execution_options(prepared="write_and_append")
)
_APPEND = insert(_audit).values({name: bindparam(f"said_{name}") for name in _AUDITED})


@dataclass(frozen=True)
class Change:
    """What is to be written down beside the new row: why it changed, and who asked."""

    trigger: str
    kind: Kind
    order: Order
    reason: str | None = None


@dataclass(frozen=True)
class ChangeMade:
    """A change that is true once its transaction is committed."""

    from_state: BatchState | None
    batch: BatchRecord
    change: Change


def write_change(connection: Connection, before: BatchRecord, after: BatchRecord, change: Change) -> ChangeMade:
    """Write `after` over `before`, and the audit row. Raises Busy if the row is no longer as it was read."""
    values = {f"new_{name}": getattr(after, name) for name in _WRITABLE}
    values |= {"read_id": before.id, "read_version": before.version, "read_state": before.state}
    said = _row(before.state, after, change)
    if db.is_postgresql(connection):
        written = connection.execute(_WRITE_AND_APPEND, {**values, **said}).rowcount
    else:
        written = connection.execute(_WRITE, values).rowcount
        if written:
            connection.execute(_APPEND, said)
    if written != 1:
        raise Busy("The batch was changed by someone who did not lock it.")
    return ChangeMade(before.state, after, change)


def append_creation(connection: Connection, batch: BatchRecord, change: Change) -> ChangeMade:
    """Append the first audit row of a new batch."""
    connection.execute(_APPEND, _row(None, batch, change))
    return ChangeMade(None, batch, change)


def _row(from_state: BatchState | None, batch: BatchRecord, change: Change) -> dict[str, Any]:
    return {
        "said_batch_id": batch.id,
        "said_version": batch.version,
        "said_trigger": change.trigger,
        "said_kind": change.kind,
        "said_from_state": from_state,
        "said_to_state": batch.state,
        "said_actor": change.order.actor,
        "said_role": change.order.role,
        "said_reason": change.reason,
        "said_context": dict(change.order.context),
        "said_request_id": change.order.request_id,
        "said_at": batch.updated_at,
    }
