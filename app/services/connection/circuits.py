"""The rows of circuits: which are closed, who may probe one now, and what reports make of them.

What follows from a report is decided by app.domain.connection.circuits. Rows are locked in the order of their
keys, and a probe is claimed without waiting for a lock: no two transactions here can deadlock.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app import db
from app.domain.connection.abilities import LINES, Target
from app.domain.connection.circuits import (
    CallOutcome,
    CircuitChange,
    CircuitState,
    ErrorClass,
    Probe,
    decide,
    wait_seconds,
)
from app.domain.times import rfc3339
from app.domain.webhook.message_types import MessageType
from app.errors import Invalid
from app.models import IS_CLOSED, Circuit, Model, ReadyTarget
from app.models.connection import ALL_MODELS
from app.prepared_statements import Prepared
from app.services.message import notices

MOST_CIRCUITS = 1_000
ANSWERED = "The server answers again; one task will try whether it works."
KEPT = timedelta(days=8)  # a circuit without a report: longer than any wait

_circuits = db.table_of(Circuit)
_key = tuple_(_circuits.c.connection, _circuits.c.model)
_this = (_circuits.c.connection == bindparam("of_connection"), _circuits.c.model == bindparam("of_model"))
_CLOSED = Prepared(
    "closed_circuits", select(_circuits).where(IS_CLOSED).order_by(_circuits.c.connection, _circuits.c.model)
)
ANY_CLOSED = f"EXISTS (SELECT FROM circuits WHERE state = '{CircuitState.CLOSED}')"  # a value, for SQL
_is_due = _circuits.c.next_try_at <= bindparam("now", type_=db.UtcTime)
# The claim of a probe: of several callers one finds its time still come. No caller waits for another.
_free = select(_circuits.c.connection, _circuits.c.model).where(*_this, IS_CLOSED, _is_due)
_CLAIM = (
    update(_circuits)
    .where(_key.in_(_free.with_for_update(skip_locked=True)), IS_CLOSED, _is_due)
    .values(next_try_at=bindparam("later", type_=db.UtcTime), probe=bindparam("how"))
)
_GIVE_BACK = update(_circuits).where(*_this).values(next_try_at=bindparam("later"), probe=bindparam("how"))


@dataclass(frozen=True, order=True)
class CircuitRow:
    """A circuit as it was read; `model` is None for the circuit of a whole connection."""

    connection: str
    model: str | None
    state: CircuitState
    since: datetime
    error_class: ErrorClass | None
    reason: str | None
    failures: int
    failed_at: datetime | None
    next_try_at: datetime | None
    probe: Probe | None
    reported_by: str

    def covers(self, target: Target) -> bool:
        """Whether tasks with this target make their calls over this circuit."""
        return self.connection == target.connection and self.model in (None, target.model)

    @property
    def key(self) -> tuple[str, str]:
        return self.connection, self.model or ALL_MODELS


@dataclass(frozen=True)
class CallReport:
    """What a worker reports of its calls over a connection, or of those to one model of it."""

    connection: str
    outcome: CallOutcome
    model: str | None = None
    error_class: ErrorClass | None = None
    message: str | None = None
    retry_after_seconds: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.connection, self.model or ALL_MODELS


def closed(connection: Connection) -> list[CircuitRow]:
    """List the closed circuits, by connection and model."""
    return [_row(row) for row in _CLOSED.rows(connection)]


def known(connection: Connection) -> list[CircuitRow]:
    """List all circuits that have a row, by connection and model."""
    rows = connection.execute(select(_circuits).order_by(_circuits.c.connection, _circuits.c.model))
    return [_row(row) for row in rows]


def claim(connection: Connection, circuit: CircuitRow, probe: Probe, now: datetime) -> datetime | None:
    """Claim the probe of a closed circuit whose time has come; return when the next one is due, or None.

    If another caller claimed it before, or claims it now, this claims nothing.
    """
    wait = wait_seconds(circuit.error_class or ErrorClass.OUTAGE, circuit.failures, random.random())
    later = now + timedelta(seconds=wait)
    values = {"of_connection": circuit.key[0], "of_model": circuit.key[1], "now": now, "later": later, "how": probe}
    return later if connection.execute(_CLAIM, values).rowcount == 1 else None


def give_back(connection: Connection, circuit: CircuitRow) -> None:
    """Undo a claim of this transaction: no task was found to probe the circuit with."""
    values = {"of_connection": circuit.key[0], "of_model": circuit.key[1]}
    connection.execute(_GIVE_BACK, {**values, "later": circuit.next_try_at, "how": circuit.probe})


def try_now(connection: Connection, batch_id: int, now: datetime) -> None:
    """Let the closed circuits of a batch be probed at once, instead of when their waits are over."""
    models = select(Model.connection, Model.model).where(Model.batch_id == batch_id)
    lines = select(literal(LINES), ReadyTarget.model).where(ReadyTarget.batch_id == batch_id)
    needed = models.union(lines).subquery()
    covers = select(needed.c.connection).where(
        needed.c.connection == _circuits.c.connection, _circuits.c.model.in_((ALL_MODELS, needed.c.model))
    )
    later = select(_circuits.c.connection, _circuits.c.model).where(
        IS_CLOSED, _circuits.c.next_try_at > now, covers.exists()
    )
    locked = later.order_by(_circuits.c.connection, _circuits.c.model).with_for_update()
    connection.execute(update(_circuits).where(_key.in_(locked)).values(next_try_at=now))


def report(connection: Connection, worker: str, reports: Sequence[CallReport]) -> set[tuple[str, str]]:
    """Take what a worker reports of its calls, in order; return the keys of the circuits that are changed.

    A report of a whole connection is also the answer to a probe of one of its models that was a call without a task.
    Raises Invalid if there would be more than MOST_CIRCUITS.
    """
    _make_rows(connection, worker, [each for each in reports if each.outcome is not CallOutcome.SUCCEEDED])
    names = sorted({each.connection for each in reports})
    statement = select(_circuits).where(_circuits.c.connection.in_(names))
    ordered = statement.order_by(_circuits.c.connection, _circuits.c.model).with_for_update()
    rows = {row.key: row for row in map(_row, connection.execute(ordered))}
    now, changed = db.now(connection), set()
    for each in reports:
        keys = [each.key] if each.key in rows else []
        if each.model is None:
            keys += [
                key
                for key, row in rows.items()
                if key[0] == each.connection and key != each.key and row.probe == Probe.CALL
            ]
        for key in keys:
            rows[key] = _write(connection, rows[key], each, worker, now)
            changed.add(key)
    return changed


def forget_old(connection: Connection) -> None:
    """Delete the circuits of which nothing was reported for eight days: the next call tells."""
    connection.execute(delete(_circuits).where(_circuits.c.reported_at < db.now(connection) - KEPT))


def _make_rows(connection: Connection, worker: str, reports: Iterable[CallReport]) -> None:
    """Insert an open circuit for each report that has none."""
    keys = sorted({each.key for each in reports})
    if not keys:
        return
    present = {(name, model) for name, model in connection.execute(select(_circuits.c.connection, _circuits.c.model))}
    new = [key for key in keys if key not in present]
    if len(present) + len(new) > MOST_CIRCUITS:
        raise Invalid(f"There are {len(present)} circuits; at most {MOST_CIRCUITS} are kept.")
    now = db.now(connection)
    rows = [
        {
            "connection": key[0],
            "model": key[1],
            "state": CircuitState.OPEN,
            "since": now,
            "failures": 0,
            "reported_by": worker,
            "reported_at": now,
        }
        for key in new
    ]
    if rows:
        make = postgresql_insert if db.is_postgresql(connection) else sqlite_insert
        connection.execute(make(_circuits).on_conflict_do_nothing(), rows)


def _write(connection: Connection, row: CircuitRow, report: CallReport, worker: str, now: datetime) -> CircuitRow:
    change = decide(
        report.outcome,
        (row.state, row.probe),
        row.failures,
        report.error_class,
        report.retry_after_seconds,
        random.random(),
    )
    next_try_at = None if change.wait_seconds is None else now + timedelta(seconds=change.wait_seconds)
    if change.is_late and next_try_at is not None and row.next_try_at is not None:
        next_try_at = max(next_try_at, row.next_try_at)
    values: dict[str, Any] = {
        "state": change.state,
        "since": row.since if change.state is row.state else now,
        "failures": change.failures,
        "next_try_at": next_try_at,
        "probe": change.probe,
        **_explained(change, row, report, now),
        "reported_by": worker,
    }
    written = update(_circuits).where(_circuits.c.connection == row.key[0], _circuits.c.model == row.key[1])
    connection.execute(written.values(**values, reported_at=now))
    after = CircuitRow(row.connection, row.model, **values)
    _note(connection, row, after)
    return after


def _note(connection: Connection, before: CircuitRow, after: CircuitRow) -> None:
    """Note for webhooks that a circuit was closed, or that it is not closed any more."""
    was_closed, is_closed = (each.state is CircuitState.CLOSED for each in (before, after))
    if was_closed == is_closed:
        return
    data = {
        "connection": after.connection,
        "model": after.model,
        "state": after.state,
        "class": after.error_class,
        "reason": after.reason,
        "since": rfc3339(after.since),
    }
    notices.note(connection, MessageType.CONNECTION_CLOSED if is_closed else MessageType.CONNECTION_OPEN, data)


def _explained(change: CircuitChange, row: CircuitRow, report: CallReport, now: datetime) -> dict[str, Any]:
    """Give the class and reason of a circuit's state, and when its last failure was reported."""
    if change.state is not CircuitState.CLOSED:
        return {"error_class": None, "reason": report.message, "failed_at": row.failed_at}
    if change.is_late:
        return {"error_class": row.error_class, "reason": row.reason, "failed_at": row.failed_at}
    if change.probe is Probe.ANSWERED:
        return {"error_class": row.error_class, "reason": ANSWERED, "failed_at": row.failed_at}
    return {"error_class": report.error_class, "reason": report.message, "failed_at": now}


def _row(row: Any) -> CircuitRow:
    return CircuitRow(
        connection=row.connection,
        model=row.model or None,
        state=CircuitState(row.state),
        since=row.since,
        error_class=ErrorClass(row.error_class) if row.error_class else None,
        reason=row.reason,
        failures=row.failures,
        failed_at=row.failed_at,
        next_try_at=row.next_try_at,
        probe=Probe(row.probe) if row.probe else None,
        reported_by=row.reported_by,
    )
