"""Who may call, and which answers are kept for a repeated call."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, BigId, UtcTime
from app.domain.roles import Role
from app.models.batch import one_of


class ApiToken(Base):
    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))  # the actor in audit rows
    role: Mapped[str] = mapped_column(String(16))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)  # of the secret, which is not stored
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcTime)  # kept for 30 days

    __table_args__ = (
        CheckConstraint(one_of("role", Role), name="role"),
        # Only one valid token has a name at a time.
        Index(
            "uq_api_tokens_live_name",
            "name",
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
            sqlite_where=text("revoked_at IS NULL"),
        ),
    )


class SignInLink(Base):
    """A link that signs in as admin, once: using it deletes the row."""

    __tablename__ = "sign_in_links"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)  # of the code, which is not stored
    expires_at: Mapped[datetime] = mapped_column(UtcTime)


class PageSession(Base):
    """A session of the pages; sign-out deletes it."""

    __tablename__ = "sessions"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)  # of its secret, which only the cookie has
    token_id: Mapped[int] = mapped_column(BigId)  # 0 for ADMIN_TOKEN, which is not in the database
    expires_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (Index("ix_sessions_expires_at", "expires_at"),)  # the sweeper deletes old ones


class IdempotencyKey(Base):
    """The first answer to a POST with this key; `status` is null while it is being decided."""

    __tablename__ = "idempotency_keys"

    caller: Mapped[str] = mapped_column(String(100), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))  # of method, path, query, media type and body
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    body: Mapped[bytes | None] = mapped_column(LargeBinary)  # null beside a status: erased with content of a batch
    batch_ids: Mapped[str | None] = mapped_column(Text)  # whose content it may have, each between commas: ",7,9,"
    claimed_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (Index("ix_idempotency_keys_claimed_at", "claimed_at"),)  # the sweeper drops old ones
