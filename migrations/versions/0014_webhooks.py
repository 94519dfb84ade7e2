"""Webhooks: the addresses that get messages about changes, and these messages.

The release before uses none of these tables, so it may go on changing batches: a message follows from the audit rows.
"""

import sqlalchemy as sa
from alembic import op

from app.db import BigId, UtcTime
from app.models.batch import one_of

revision = "0014"
down_revision = "0013"

PENDING = "status = 'PENDING'"


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", BigId, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("types", sa.JSON(), nullable=False),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("secret", sa.String(length=100), nullable=False),
        sa.Column("earlier_secrets", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("failed_at", UtcTime(), nullable=True),
        sa.Column("delivered_at", UtcTime(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.CheckConstraint(one_of("format", ("standard", "openai")), name=op.f("ck_webhooks_format")),
        sa.CheckConstraint("deleted_at IS NULL OR NOT enabled", name=op.f("ck_webhooks_deleted")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "message_places",
        sa.Column("batch_id", BigId, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_message_places")),
    )
    op.create_table(
        "notices",
        sa.Column("id", BigId, nullable=False),
        sa.Column("message_id", sa.String(length=80), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    _create_deliveries()


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", BigId, nullable=False),
        sa.Column("webhook_id", BigId, nullable=False),
        sa.Column("message_id", sa.String(length=80), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("batch_id", BigId, nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=9), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", UtcTime(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("finished_at", UtcTime(), nullable=True),
        sa.CheckConstraint(one_of("status", ("PENDING", "DELIVERED", "FAILED")), name=op.f("ck_deliveries_status")),
        sa.CheckConstraint(f"({PENDING}) = (next_try_at IS NOT NULL)", name=op.f("ck_deliveries_next_try_at")),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], name=op.f("fk_deliveries_webhook_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("webhook_id", "message_id", name=op.f("uq_deliveries_webhook_id_message_id")),
    )
    op.create_index("ix_deliveries_of_webhook", "deliveries", ["webhook_id", "id"])
    op.create_index("ix_deliveries_created_at", "deliveries", ["created_at"])
    op.create_index(
        "ix_deliveries_pending",
        "deliveries",
        ["webhook_id", "next_try_at"],
        postgresql_where=sa.text(PENDING),
        sqlite_where=sa.text(PENDING),
    )


def downgrade() -> None:
    for table in ("deliveries", "notices", "message_places", "webhooks"):
        op.drop_table(table)
