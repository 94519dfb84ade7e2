"""The writes of a batch's row: its creation, and every change after it, each with its audit row.

The only module that writes the table of batches. It decides nothing: Decision calls it for a creation, and LockedBatch
for a change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from app import db
from app.domain import transitions
from app.domain.transitions import BatchState, Kind
from app.errors import Busy
from app.models import AuditRow, Batch
from app.services.batch.batch_rows import COLUMNS, BatchRecord
from app.services.batch.orders import Order

_OF_INPUT = [column.name for column in COLUMNS if column.info.get("of_input")]
_WRITABLE = [column.name for column in COLUMNS if not column.info.get("fixed") and column.name not in _OF_INPUT]
_batches = db.table_of(Batch)
_audit = db.table_of(AuditRow)

_CREATE: Any = insert(_batches).returning(*COLUMNS)
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
_audit_values = [bindparam(f"audit_{name}", type_=_audit.c[name].type) for name in _AUDITED if name != "batch_id"]
_written = _WRITE.returning(_batches.c.id).cte("written")
# One statement on PostgreSQL: it writes one row of each table, or none.
_WRITE_AND_AUDIT = (
    insert(_audit)
    .from_select(_AUDITED, select(_written.c.id, *_audit_values))
    .add_cte(_written)
    .execution_options(prepared="write_and_audit")
)
_AUDIT = insert(_audit).values({name: bindparam(f"audit_{name}") for name in _AUDITED})


@dataclass(frozen=True)
class Change:
    """What the audit row records beside the new row: the trigger, the order that led to it, and the reason."""

    trigger: str
    kind: Kind
    order: Order
    reason: str | None = None


@dataclass(frozen=True)
class ChangeMade:
    """A change that was written; it takes effect when its transaction commits."""

    from_state: BatchState | None
    batch: BatchRecord
    change: Change


def write_creation(connection: Connection, values: Mapping[str, Any], order: Order) -> ChangeMade:
    """Insert the row of a new batch with these columns, in the initial state and at version 1, and its audit row."""
    now = db.now(connection)
    first = {"state": transitions.INITIAL, "version": 1, "run": 0, "created_at": now, "updated_at": now}
    batch = BatchRecord.of(connection.execute(_CREATE, {**first, **values}).one())
    made = ChangeMade(None, batch, Change(transitions.CREATE, Kind.EDIT, order))
    connection.execute(_AUDIT, _audit_row(made))
    return made


def write_change(connection: Connection, before: BatchRecord, after: BatchRecord, change: Change) -> ChangeMade:
    """Write `after` over `before`, and the audit row. Raises Busy if the row no longer equals `before`."""
    made = ChangeMade(before.state, after, change)
    audit_row = _audit_row(made)
    values = {f"new_{name}": getattr(after, name) for name in _WRITABLE}
    values |= {"read_id": before.id, "read_version": before.version, "read_state": before.state}
    if db.is_postgresql(connection):
        written = connection.execute(_WRITE_AND_AUDIT, {**values, **audit_row}).rowcount
    else:
        written = connection.execute(_WRITE, values).rowcount
        if written:
            connection.execute(_AUDIT, audit_row)
    if written != 1:
        raise Busy("Another program changed the batch without locking it.")
    _write_input(connection, before, after)
    return made


def _write_input(connection: Connection, before: BatchRecord, after: BatchRecord) -> None:
    """Write the columns that only an edit of the input changes: no other change pays for them."""
    changed = {name: getattr(after, name) for name in _OF_INPUT if getattr(after, name) != getattr(before, name)}
    if changed:
        connection.execute(update(_batches).where(_batches.c.id == after.id).values(changed))


def _audit_row(made: ChangeMade) -> dict[str, Any]:
    batch, change = made.batch, made.change
    return {
        "audit_batch_id": batch.id,
        "audit_version": batch.version,
        "audit_trigger": change.trigger,
        "audit_kind": change.kind,
        "audit_from_state": made.from_state,
        "audit_to_state": batch.state,
        "audit_actor": change.order.actor,
        "audit_role": change.order.role,
        "audit_reason": change.reason,
        "audit_context": dict(change.order.context),
        "audit_request_id": change.order.request_id,
        "audit_at": batch.updated_at,
    }
