"""Webhooks made and brought to their messages, by the services of this process."""

import re
from datetime import timedelta
from typing import Any

from sqlalchemy import update

from app import db
from app.db import transaction
from app.domain.webhook.delivery_status import DeliveryStatus
from app.domain.webhook.message_types import MessageType
from app.models import Delivery
from app.services import Services
from tests.support.receiver import Receiver

ALL = [str(each) for each in MessageType]
_LINE_OF_DIGEST = re.compile(r"Batch (\d+) .+ is \w+ \(\w+ by [^,]+, version (\d+)\)")


def subscribe(services: Services, receiver: Receiver | str, *types: str, **more: Any) -> dict[str, Any]:
    """Create a webhook for a receiver; for all types unless some are named. Return it, with its secret."""
    url = receiver if isinstance(receiver, str) else receiver.url
    given = {"url": url, "types": list(types) or ALL, "description": None, "format": "standard", **more}
    return services.webhooks.create(given)


def messages(services: Services, webhook: dict[str, Any], status: str | None = None) -> list[dict[str, Any]]:
    """List the messages of a webhook, oldest first."""
    return services.webhooks.deliveries(webhook["id"], 200, status=status)[0][::-1]


def let_tries_come(services: Services) -> None:
    """Move the next try of every message that waits into the past."""
    rows = db.table_of(Delivery)
    with transaction(services.engine) as connection:
        past = db.now(connection) - timedelta(seconds=1)
        is_waiting = rows.c.status == DeliveryStatus.PENDING
        connection.execute(update(rows).where(is_waiting).values(next_try_at=past))


def told_by(digest: str) -> list[str]:
    """List the changes that the text of a digest tells, by the ids of their messages."""
    return [f"msg_{batch}_{version}" for batch, version in _LINE_OF_DIGEST.findall(digest)]
