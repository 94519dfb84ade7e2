"""The writes of a batch's row: its creation, and every change after it, each with its audit row.

The only module that writes the table of batches. It decides nothing: Decision calls it for a creation, and LockedBatch
for a change.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg2.errorcodes import NOT_NULL_VIOLATION
from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from app import db
from app.domain import transitions
from app.domain.transitions import BatchState, Kind
from app.errors import Busy
from app.models import AuditRow, Batch
from app.prepared_statements import Prepared
from app.services.batch.batch_rows import COLUMNS, BatchRecord
from app.services.batch.orders import Order

_LOST = "Another program changed the batch without locking it."
_batches = db.table_of(Batch)
_audit = db.table_of(AuditRow)
_NAMES = [column.name for column in COLUMNS]
_FIXED = {column.name for column in COLUMNS if column.info.get("fixed")}
_AUDITED = [column.name for column in _audit.c]


class _Write(NamedTuple):
    """Writes some columns of a batch's row; with the audit row it is one statement."""

    columns: Sequence[str]
    alone: Any
    with_audit: Prepared

    @classmethod
    def of(cls, name: str, columns: Sequence[str]) -> "_Write":
        alone = (
            update(_batches)
            .where(
                _batches.c.id == bindparam("read_id"),
                _batches.c.version == bindparam("read_version"),
                _batches.c.state == bindparam("read_state"),
            )
            .values({name: bindparam(f"new_{name}") for name in columns})
        )
        written = alone.returning(_batches.c.id).cte("written")
        values = [bindparam(f"audit_{name}", type_=_audit.c[name].type) for name in _AUDITED if name != "batch_id"]
        # It writes one row of each table, or fails: an audit row without the id of a written batch violates NOT NULL.
        audit_row = select(select(written.c.id).scalar_subquery(), *values)
        with_audit = insert(_audit).from_select(_AUDITED, audit_row).add_cte(written)
        return cls(columns, alone, Prepared(name, with_audit, later=True))


_WHOLE = _Write.of("write_whole_and_audit", [each.name for each in COLUMNS if not each.info.get("fixed")])
# All that pause, resume and reset change, as a rule: they do not pay for the other columns.
_STEP = _Write.of("write_step_and_audit", ["state", "version", "paused_at", "updated_at"])
_CREATE: Any = insert(_batches).returning(*COLUMNS)
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
    """Write `after` over `before`, and the audit row. The transaction has to be within `lost_writes_refused`."""
    made = ChangeMade(before.state, after, change)
    audit_row = _audit_row(made)
    changed = {name for name, new, old in zip(_NAMES, after, before, strict=True) if new is not old and new != old}
    if not changed.isdisjoint(_FIXED):
        raise ValueError(f"No change writes {sorted(changed & _FIXED)}.")
    write = _STEP if changed.issubset(_STEP.columns) else _WHOLE
    values = {f"new_{name}": getattr(after, name) for name in write.columns}
    values |= {"read_id": before.id, "read_version": before.version, "read_state": before.state}
    if db.is_postgresql(connection):
        write.with_audit.rows(connection, **values, **audit_row)
    elif connection.execute(write.alone, values).rowcount == 1:
        connection.execute(_AUDIT, audit_row)
    else:
        raise Busy(_LOST)
    return made


@contextmanager
def lost_writes_refused() -> Iterator[None]:
    """Raise Busy if the transaction within wrote over a row that no longer was what it had read."""
    try:
        yield
    except IntegrityError as error:
        violated = getattr(error.orig, "diag", None)  # of PostgreSQL; on SQLite, the number of rows is known at once
        if violated and (violated.sqlstate, violated.table_name) == (NOT_NULL_VIOLATION, _audit.name):
            raise Busy(_LOST) from error
        raise


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
