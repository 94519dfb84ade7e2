"""The webhooks that get messages now, as messages are made for them and sent to them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from app import db
from app.domain.webhook.message_types import Format
from app.models import Webhook

_webhooks = db.table_of(Webhook)
_ENABLED = (
    select(_webhooks.c.id, _webhooks.c.types, _webhooks.c.format, _webhooks.c.created_at)
    .where(_webhooks.c.enabled)
    .order_by(_webhooks.c.id)
)


@dataclass(frozen=True)
class Subscriber:
    """A webhook that is enabled, and the types of messages that it gets."""

    id: int
    types: frozenset[str]
    format: Format
    created_at: datetime


def subscribers(connection: Connection) -> list[Subscriber]:
    """List the webhooks that are enabled, in the order of their ids."""
    return [_subscriber(row) for row in connection.execute(_ENABLED)]


def subscribed_to(found: Collection[Subscriber], of_type: str) -> list[Subscriber]:
    """List those that get messages of a type that is no change of a batch."""
    return [each for each in found if each.format is not Format.OPENAI and of_type in each.types]


def _subscriber(row: Any) -> Subscriber:
    return Subscriber(row.id, frozenset(row.types), Format(row.format), row.created_at)
