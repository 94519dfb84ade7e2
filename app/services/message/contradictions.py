"""What `verify` finds about messages: one without its change, a change without its message, a place that is ahead."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Text, and_, bindparam, cast, literal, or_, select

from app import db
from app.domain.transitions import Kind
from app.domain.webhook.message_types import Format, MessageType
from app.models import AuditRow, Batch, Delivery, MessagePlace, Webhook
from app.services.message.deliveries import KEPT

WITHOUT_CHANGE = "a message about a change has the audit row of this change"
WITHOUT_MESSAGE = "a webhook that gets all changes has a message for each of them"
AHEAD = "no batch is at an earlier version than that up to which its messages were made"
# A change may have begun before a webhook was created and been seen before that was committed; and a day before they
# are deleted, messages are not looked at any more.
MARGIN, LAST_DAY = timedelta(minutes=5), timedelta(days=1)

_deliveries, _audit, _places = map(db.table_of, (Delivery, AuditRow, MessagePlace))
_is_its_row = and_(_audit.c.batch_id == _deliveries.c.batch_id, _audit.c.version == _deliveries.c.version)
_WITHOUT_CHANGE = (
    select(_deliveries.c.batch_id)
    .outerjoin(_audit, _is_its_row)
    .where(_deliveries.c.version.is_not(None), or_(_audit.c.version.is_(None), _audit.c.kind == Kind.EDIT))
)
_is_its_place = and_(_places.c.batch_id == _audit.c.batch_id, _places.c.version >= _audit.c.version)
_id_of_change = literal("msg_") + cast(_audit.c.batch_id, Text) + literal("_") + cast(_audit.c.version, Text)
_of_webhook = _deliveries.c.webhook_id == bindparam("webhook_id")
_WITHOUT_MESSAGE = (
    select(_audit.c.batch_id)
    .join(_places, _is_its_place)
    .outerjoin(_deliveries, and_(_of_webhook, _deliveries.c.message_id == _id_of_change))
    .where(_audit.c.at >= bindparam("since", type_=db.UtcTime), _audit.c.kind != Kind.EDIT, _deliveries.c.id.is_(None))
)
_AHEAD = select(Batch.id).join(_places, _places.c.batch_id == Batch.id).where(_places.c.version > Batch.version)
_GET_ALL = select(Webhook.id, Webhook.types, Webhook.gets_since).where(
    Webhook.enabled, Webhook.format != Format.OPENAI, Webhook.gets_since.is_not(None)
)


def contradictions(connection: Connection, most: int) -> Iterator[tuple[str, list[int]]]:
    """Yield each invariant of messages that is broken, with up to `most` of the batches that break it."""
    now, missing = db.now(connection), set()
    for row in connection.execute(_GET_ALL).all():
        if MessageType.BATCH_STATE_CHANGED in row.types:
            since = max(row.gets_since + MARGIN, now - KEPT + LAST_DAY)
            missing |= set(_batches(connection, _WITHOUT_MESSAGE, most, webhook_id=row.id, since=since))
    found = {
        WITHOUT_CHANGE: _batches(connection, _WITHOUT_CHANGE, most),
        WITHOUT_MESSAGE: sorted(missing)[:most],
        AHEAD: _batches(connection, _AHEAD, most),
    }
    yield from ((invariant, broken) for invariant, broken in found.items() if broken)


def _batches(connection: Connection, query: Any, most: int, **values: Any) -> list[int]:
    statement = query.distinct().order_by(query.selected_columns[0]).limit(most)
    return list(connection.execute(statement, values).scalars())
