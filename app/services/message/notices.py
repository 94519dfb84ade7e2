"""Notices: messages about what has no audit row, written in the transaction of what happened."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert

from app import db
from app.domain.webhook.message_types import MessageType
from app.models import Notice

_notices = db.table_of(Notice)


def note(connection: Connection, of_type: MessageType, data: Mapping[str, Any]) -> None:
    """Write a notice, in the transaction of what it tells. The leader makes messages of it, and deletes it."""
    values = {"message_id": f"msg_{uuid4().hex}", "type": of_type, "data": dict(data), "at": db.now(connection)}
    connection.execute(insert(_notices), values)
