"""The messages of webhooks: those that are due, what became of each try, pages of them, and messages sent again."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, func, or_, select, update

from app import db
from app.db import reading, transaction
from app.domain.times import rfc3339
from app.domain.transitions import ENDS_OF_RUN
from app.domain.webhook.delivery_status import DeliveryStatus
from app.domain.webhook.message_types import Format
from app.domain.webhook.retries import wait_seconds
from app.metrics import DELIVERIES
from app.models import IS_PENDING, Batch, Delivery, FileBatch, Webhook

KEPT = timedelta(days=30)
MOST_DELETED = 10_000  # in one pass of the sweeper
MOST_REPLAYED = 10_000  # by one call
_COUNTED_AS = {
    DeliveryStatus.DELIVERED: "delivered",
    DeliveryStatus.PENDING: "refused",  # and sent again
    DeliveryStatus.FAILED: "failed",
}
GONE = 410
GONE_REASON = "The receiver answered 410: it is gone for good."

_deliveries, _webhooks = db.table_of(Delivery), db.table_of(Webhook)
_is_due = _deliveries.c.next_try_at <= bindparam("now", type_=db.UtcTime)
# OpenAI's clients fetch the files of a batch when a message says that it has ended: first they are made.
_unsettled = (
    select(FileBatch.batch_id)
    .join(Batch, Batch.id == FileBatch.batch_id)
    .where(
        FileBatch.batch_id == _deliveries.c.batch_id,
        FileBatch.settled_at.is_(None),
        Batch.state.in_(sorted(ENDS_OF_RUN)),
        Batch.archived_at.is_(None),
    )
    .exists()
)
# Of a digest, the next one may be sent when the time between two of them is over.
_may_be_sent = or_(Webhook.next_digest_at.is_(None), Webhook.next_digest_at <= bindparam("now", type_=db.UtcTime))
_DUE = (
    select(_deliveries, Webhook.url, Webhook.secret, Webhook.earlier_secrets, Webhook.digest_minutes)
    .join(Webhook, Webhook.id == _deliveries.c.webhook_id)
    .where(
        Webhook.enabled,
        _deliveries.c.webhook_id == bindparam("webhook_id"),
        IS_PENDING,
        _is_due,
        _may_be_sent,
        or_(Webhook.format != Format.OPENAI, ~_unsettled),
    )
    .order_by(_deliveries.c.next_try_at, _deliveries.c.id)
    .limit(bindparam("most"))
)
_due_of_webhook = select(_deliveries.c.id).where(_deliveries.c.webhook_id == Webhook.id, IS_PENDING, _is_due)
_WITH_DUE = (
    select(Webhook.id, Webhook.format)
    .where(Webhook.enabled, _may_be_sent, _due_of_webhook.exists())
    .order_by(Webhook.id)
)
_TRIED = update(_deliveries).where(
    _deliveries.c.id == bindparam("tried"), IS_PENDING, _deliveries.c.tries == bindparam("tries_before")
)


@dataclass(frozen=True)
class DueDelivery:
    """A message that is to be sent now, with what sending it needs."""

    id: int
    webhook_id: int
    message_id: str
    body: Mapping[str, Any]
    tries: int
    url: str
    secrets: Sequence[str]
    digest_minutes: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one try: the status that was answered, or why there was no answer."""

    http_status: int | None = None
    error: str | None = None
    retry_after_seconds: float | None = None

    @property
    def is_delivered(self) -> bool:
        return self.error is None


Tried = tuple[Sequence[DueDelivery], Outcome]  # messages that were sent together, and what became of them


def secrets_in_force(secret: str, earlier: Sequence[Mapping[str, Any]], now: datetime) -> list[str]:
    """List the secrets that sign now: the present one, and those that were replaced less than a day ago."""
    return [secret, *(each["secret"] for each in earlier if datetime.fromisoformat(each["until"]) > now)]


def webhooks_with_due(connection: Connection) -> dict[int, Format]:
    """Give the webhooks that have messages to be sent now, each with its format."""
    return {row.id: Format(row.format) for row in connection.execute(_WITH_DUE, {"now": db.now(connection)})}


def due(engine: Engine, webhook_id: int, most: int) -> list[DueDelivery]:
    """List messages of a webhook that are to be sent now, those that are due the longest first."""
    with reading(engine) as connection:
        now = db.now(connection)
        rows = connection.execute(_DUE, {"now": now, "webhook_id": webhook_id, "most": most}).all()
    return [
        DueDelivery(
            id=row.id,
            webhook_id=row.webhook_id,
            message_id=row.message_id,
            body=row.body,
            tries=row.tries,
            url=row.url,
            secrets=secrets_in_force(row.secret, row.earlier_secrets, now),
            digest_minutes=row.digest_minutes,
        )
        for row in rows
    ]


def record(engine: Engine, webhook_id: int, tried: Sequence[Tried]) -> None:
    """Write what became of tries. A message that another process has meanwhile sent stays as that left it."""

    def write() -> list[DeliveryStatus]:
        with transaction(engine) as connection:
            return _record(connection, webhook_id, tried)

    for status in db.retry_while_locked(write):
        DELIVERIES.labels(_COUNTED_AS[status]).inc()


def _record(connection: Connection, webhook_id: int, tried: Sequence[Tried]) -> list[DeliveryStatus]:
    now, became = db.now(connection), []
    for together, outcome in tried:
        for delivery in together:
            values = _after(delivery.tries + 1, outcome, now)
            where = {"tried": delivery.id, "tries_before": delivery.tries}
            connection.execute(_TRIED.values(values), where)
            became.append(values.get("status", DeliveryStatus.PENDING))
    _note_health(connection, webhook_id, tried, now)
    return became


def _after(tries: int, outcome: Outcome, now: datetime) -> dict[str, Any]:
    values = {"tries": tries, "http_status": outcome.http_status, "error": outcome.error}
    if outcome.is_delivered:
        return {**values, "status": DeliveryStatus.DELIVERED, "next_try_at": None, "finished_at": now}
    wait = wait_seconds(tries, random.random(), outcome.retry_after_seconds)
    if wait is None or outcome.http_status == GONE:
        return {**values, "status": DeliveryStatus.FAILED, "next_try_at": None, "finished_at": now}
    return {**values, "next_try_at": now + timedelta(seconds=wait)}


def _note_health(connection: Connection, webhook_id: int, tried: Sequence[Tried], now: datetime) -> None:
    """Note on the webhook how its last tries went; a receiver that is gone for good gets no more messages."""
    values: dict[str, Any] = {}
    for together, outcome in tried:
        if minutes := together[0].digest_minutes:
            values |= {"next_digest_at": now + timedelta(minutes=minutes)}
        if outcome.is_delivered:
            values |= {"failures": 0, "delivered_at": now}
        else:
            failures = values.get("failures", _webhooks.c.failures) + 1
            values |= {"failures": failures, "failed_at": now, "failure": outcome.error}
    if any(outcome.http_status == GONE for _, outcome in tried):
        values |= {"enabled": False, "disabled_reason": GONE_REASON}
    connection.execute(update(_webhooks).where(_webhooks.c.id == webhook_id).values(values))


def page(
    engine: Engine, webhook_id: int, limit: int, before: int | None = None, status: str | None = None
) -> tuple[list[dict[str, Any]], int | None]:
    """Give a page of a webhook's messages, newest first, and the cursor of the next page, or None."""
    statement = select(_deliveries).where(_deliveries.c.webhook_id == webhook_id)
    if before is not None:
        statement = statement.where(_deliveries.c.id < before)
    if status is not None:
        statement = statement.where(_deliveries.c.status == status)
    with reading(engine) as connection:
        rows = connection.execute(statement.order_by(_deliveries.c.id.desc()).limit(limit + 1)).all()
    return [_view(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None


def replay(
    connection: Connection,
    webhook_id: int,
    message_ids: Sequence[str] | None,
    since: datetime | None,
    until: datetime | None,
) -> int:
    """Send messages again: those with these ids, or those that failed from a time on; return how many.

    At most MOST_REPLAYED, the oldest first.
    """
    chosen = select(_deliveries.c.id).where(_deliveries.c.webhook_id == webhook_id, ~IS_PENDING)
    if message_ids is not None:
        chosen = chosen.where(_deliveries.c.message_id.in_(message_ids))
    else:
        chosen = chosen.where(_deliveries.c.status == DeliveryStatus.FAILED, _deliveries.c.created_at >= since)
        if until is not None:
            chosen = chosen.where(_deliveries.c.created_at < until)
    ids = chosen.order_by(_deliveries.c.id).limit(MOST_REPLAYED)
    again = {"status": DeliveryStatus.PENDING, "tries": 0, "next_try_at": db.now(connection), "finished_at": None}
    return connection.execute(update(_deliveries).where(_deliveries.c.id.in_(ids)).values(again)).rowcount


def forget_old(connection: Connection) -> None:
    """Delete messages that are 30 days old, and those of deleted webhooks; then the deleted webhooks without any."""
    deleted = select(_webhooks.c.id).where(_webhooks.c.deleted_at.is_not(None))
    old = _deliveries.c.created_at < db.now(connection) - KEPT
    for is_over in (old, _deliveries.c.webhook_id.in_(deleted)):
        ids = select(_deliveries.c.id).where(is_over).limit(MOST_DELETED)
        connection.execute(delete(_deliveries).where(_deliveries.c.id.in_(ids)))
    left = select(_deliveries.c.id).where(_deliveries.c.webhook_id == _webhooks.c.id)
    connection.execute(delete(_webhooks).where(_webhooks.c.deleted_at.is_not(None), ~left.exists()))


def waiting(connection: Connection, webhook_ids: Sequence[int]) -> dict[int, int]:
    """Count the messages of these webhooks that wait to be delivered."""
    statement = select(_deliveries.c.webhook_id, func.count().label("amount")).where(
        IS_PENDING, _deliveries.c.webhook_id.in_(webhook_ids)
    )
    rows: Any = connection.execute(statement.group_by(_deliveries.c.webhook_id))
    return {row.webhook_id: row.amount for row in rows}


def _view(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "message_id": row.message_id,
        "type": row.type,
        "batch_id": row.batch_id,
        "status": row.status,
        "tries": row.tries,
        "http_status": row.http_status,
        "error": row.error,
        "created_at": rfc3339(row.created_at),
        "next_try_at": rfc3339(row.next_try_at),
        "finished_at": rfc3339(row.finished_at),
        "body": row.body,
    }
