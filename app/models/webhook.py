"""Webhooks, how far the changes of batches have become messages for them, and what became of each message."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, BigId, UtcTime
from app.domain.webhook.delivery_status import DeliveryStatus
from app.domain.webhook.message_types import Format
from app.models.batch import one_of


class Webhook(Base):
    __tablename__ = "webhooks"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    types: Mapped[list[str]] = mapped_column(JSON)
    format: Mapped[str] = mapped_column(String(8))
    secret: Mapped[str] = mapped_column(String(100))  # not a hash: it signs; empty where nothing is signed
    # The secrets before it that still sign, each with its end: [{"secret", "until"}].
    earlier_secrets: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    enabled: Mapped[bool]
    disabled_reason: Mapped[str | None] = mapped_column(Text)  # only where the service itself disabled it
    failures: Mapped[int]  # failed tries since the last message that was taken
    failure: Mapped[str | None] = mapped_column(Text)  # the last one
    failed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcTime)
    digest_minutes: Mapped[int | None]  # the least time between two digests; only of the format apprise
    next_digest_at: Mapped[datetime | None] = mapped_column(UtcTime)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    # From when on it gets what it gets: its creation, or the last change of its types or of `enabled`.
    gets_since: Mapped[datetime | None] = mapped_column(UtcTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcTime)  # the sweeper deletes its deliveries, then the row

    __table_args__ = (
        CheckConstraint(one_of("format", Format), name="format"),
        CheckConstraint("deleted_at IS NULL OR NOT enabled", name="deleted"),
        CheckConstraint(f"(format = '{Format.APPRISE}') = (digest_minutes IS NOT NULL)", name="digest_minutes"),
    )


class MessagePlace(Base):
    """Up to which version the changes of a batch have become messages; kept while any webhook is enabled.

    No foreign key: its check would lock the batch's row, for which actions would wait.
    """

    __tablename__ = "message_places"

    batch_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    version: Mapped[int]


class Notice(Base):
    """A message about what is no change of a batch, written in the transaction of what happened."""

    __tablename__ = "notices"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    message_id: Mapped[str] = mapped_column(String(80))
    type: Mapped[str] = mapped_column(String(32))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(UtcTime)


_PENDING = f"status = '{DeliveryStatus.PENDING}'"


class Delivery(Base):
    """A message for one webhook."""

    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhooks.id"))
    message_id: Mapped[str] = mapped_column(String(80))
    type: Mapped[str] = mapped_column(String(32))
    batch_id: Mapped[int | None] = mapped_column(BigId)
    version: Mapped[int | None]  # of the change that it tells
    body: Mapped[dict[str, Any]] = mapped_column(JSON)  # as it is sent
    status: Mapped[str] = mapped_column(String(9))
    tries: Mapped[int]
    next_try_at: Mapped[datetime | None] = mapped_column(UtcTime)
    http_status: Mapped[int | None]  # of the last answer
    error: Mapped[str | None] = mapped_column(Text)  # of the last try
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcTime)

    __table_args__ = (
        CheckConstraint(one_of("status", DeliveryStatus), name="status"),
        CheckConstraint(f"({_PENDING}) = (next_try_at IS NOT NULL)", name="next_try_at"),
        # A message is made once for a webhook, also by two processes that both lead for a moment.
        UniqueConstraint("webhook_id", "message_id"),
        Index("ix_deliveries_of_webhook", "webhook_id", "id"),  # its list, newest first
        Index("ix_deliveries_created_at", "created_at"),  # the sweeper deletes old ones
        Index(
            "ix_deliveries_pending",  # what is due of a webhook
            "webhook_id",
            "next_try_at",
            postgresql_where=text(_PENDING),
            sqlite_where=text(_PENDING),
        ),
    )


# For queries. SQLite uses a partial index only if the statement contains its condition as text.
IS_PENDING = Delivery.status == literal_column(f"'{DeliveryStatus.PENDING}'")
