"""The messages themselves: ids and bodies, and their rows, one for each webhook that gets it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app import db
from app.domain.file.batches import BATCH
from app.domain.times import rfc3339
from app.domain.webhook.delivery_status import DeliveryStatus
from app.domain.webhook.message_types import ChangeOfState, Format, openai_type_of, type_of
from app.models import Delivery
from app.services.message.subscribers import Subscriber

_deliveries = db.table_of(Delivery)


@dataclass(frozen=True)
class Message:
    """A message for one webhook; the same change has the same id for all of them, and at every try."""

    webhook_id: int
    id: str
    type: str
    body: Mapping[str, Any]
    batch_id: int | None = None
    version: int | None = None


def id_of_change(batch_id: int, version: int) -> str:
    """Name the message of a change: its audit row has this batch and version."""
    return f"msg_{batch_id}_{version}"


def of_change(row: Any, subscribers: Iterable[Subscriber]) -> list[Message]:
    """Make the messages of a change of state; `row` is its audit row, with the batch's name and run."""
    change = ChangeOfState(row.trigger, row.to_state, _failure_of(row))
    message_id = id_of_change(row.batch_id, row.version)
    made = []
    for each in subscribers:
        if each.format is Format.OPENAI:
            found = openai_type_of(change, each.types, row.cancel_wanted) if row.is_of_file else None
            body = _openai_body(row, str(found))
        else:
            found = type_of(change, each.types)
            body = standard_body(str(found), row.at, _data(row, change.failure_code))
        if found is not None:
            made.append(Message(each.id, message_id, found, body, row.batch_id, row.version))
    return made


def standard_body(of_type: str, at: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    """Make the body of a message, as Standard Webhooks recommends it."""
    return {"type": of_type, "timestamp": rfc3339(at), "data": dict(data)}


def write(connection: Connection, messages: Sequence[Message]) -> None:
    """Write messages; one that a webhook has already is left as it is."""
    if not messages:
        return
    now = db.now(connection)
    make = postgresql_insert if db.is_postgresql(connection) else sqlite_insert
    rows = [_row(each, now) for each in sorted(messages, key=lambda each: (each.webhook_id, each.id))]
    connection.execute(make(_deliveries).on_conflict_do_nothing(), rows)


def _row(message: Message, now: datetime) -> dict[str, Any]:
    return {
        "webhook_id": message.webhook_id,
        "message_id": message.id,
        "type": message.type,
        "batch_id": message.batch_id,
        "version": message.version,
        "body": message.body,
        "status": DeliveryStatus.PENDING,
        "tries": 0,
        "next_try_at": now,
        "created_at": now,
    }


def _failure_of(row: Any) -> str | None:
    """Give the code of the failure that an event led to; of an action, a caller may write anything there."""
    return row.context.get("failure") if row.kind == "event" else None


def _data(row: Any, failure_code: str | None) -> dict[str, Any]:
    return {
        "batch_id": row.batch_id,
        "name": row.name,
        "version": row.version,
        "run": row.run,
        "trigger": row.trigger,
        "from_state": row.from_state,
        "to_state": row.to_state,
        "actor": row.actor,
        "reason": row.reason,
        "failure": failure_code,
    }


def _openai_body(row: Any, of_type: str) -> dict[str, Any]:
    """Make an event of OpenAI's API: its receiver reads the batch at /v1/batches."""
    return {
        "id": f"evt_{row.batch_id}_{row.version}",
        "object": "event",
        "type": of_type,
        "created_at": int(row.at.timestamp()),
        "data": {"id": f"{BATCH}{row.batch_id}"},
    }
