"""Creates a batch of a file. It is staged at once; its `run` is requested when it is STAGED, in the caller's name.

A call that a client repeats, because it has seen no answer, gets the batch that the first one made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, text

from app import db
from app.domain.money import nanos
from app.domain.new_batch import LONGEST_NAME
from app.errors import Refusal
from app.models import FileBatch
from app.services.batch.batch_service import BatchService
from app.services.batch.orders import Order
from app.services.file import files
from app.services.file.files import StoredFile

_file_batches = db.table_of(FileBatch)
_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('interlock file batches'), hashtext(:fingerprint))")
_FIRST = (
    select(_file_batches.c.batch_id)
    .where(
        _file_batches.c.fingerprint == bindparam("of_call"),
        _file_batches.c.created_at > bindparam("since", type_=db.UtcTime),
    )
    .order_by(_file_batches.c.batch_id.desc())
    .limit(1)
)


@dataclass(frozen=True)
class NewFileBatch:
    """What a caller wants. `repeats_within`: the call may be a repetition of one that is not older than this."""

    input_file_id: str
    endpoint: str
    completion_window: str
    window_seconds: int
    fingerprint: str
    pairs: Mapping[str, str] | None = None
    output_lifetime_seconds: int | None = None
    max_cost: float | None = None
    reuses: bool = False
    repeats_within: timedelta | None = None


def create(batches: BatchService, new: NewFileBatch, order: Order) -> int:
    """Create and stage a batch, or find the one that this call has made already; return its number."""
    with batches.deciding(order) as decision:
        connection = decision.connection
        if db.is_postgresql(connection):  # of two equal calls, the second waits; on SQLite every transaction does
            connection.execute(_LOCK, {"fingerprint": new.fingerprint})
        now = db.now(connection)
        if found := _first(connection, new, now):
            return found
        file = files.find(connection, new.input_file_id)
        locked = decision.create(_columns(new, file, now))
        connection.execute(insert(_file_batches), _row(new, file, locked.batch.id, order, now))
        answer = locked.answer("stage", replace(order, context={}))
        if not answer["success"]:
            raise Refusal(answer["reason"])
        return locked.batch.id


def _first(connection: Connection, new: NewFileBatch, now: datetime) -> int | None:
    if new.repeats_within is None:
        return None
    since = now - new.repeats_within
    found: int | None = connection.execute(_FIRST, {"of_call": new.fingerprint, "since": since}).scalar_one_or_none()
    return found


def _columns(new: NewFileBatch, file: StoredFile | None, now: datetime) -> dict[str, Any]:
    return {
        "name": (file.filename if file else new.input_file_id)[:LONGEST_NAME],
        "input_file_id": new.input_file_id,
        "deadline_at": now + timedelta(seconds=new.window_seconds),
        "max_cost_nanos": nanos(new.max_cost),
    }


def _row(new: NewFileBatch, file: StoredFile | None, batch_id: int, order: Order, now: datetime) -> dict[str, Any]:
    return {
        "batch_id": batch_id,
        "file_id": file.id if file else None,
        "endpoint": new.endpoint,
        "completion_window": new.completion_window,
        "metadata": None if new.pairs is None else dict(new.pairs),
        "output_lifetime_seconds": new.output_lifetime_seconds,
        "reuses": new.reuses,
        "created_at": now,
        "fingerprint": new.fingerprint,
        "actor": order.actor,
        "role": order.role,
        "request_id": order.request_id,
        "run_wanted": True,
        "cancel_wanted": False,
        "settled_run": 0,
    }
