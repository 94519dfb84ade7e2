"""When each worker was last seen. The release before does not use this table."""

import sqlalchemy as sa
from alembic import op

from app.db import BigId, UtcTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "worker_sightings",
        sa.Column("worker", sa.String(length=200), nullable=False),
        sa.Column("first_seen_at", UtcTime(), nullable=False),
        sa.Column("last_seen_at", UtcTime(), nullable=False),
        sa.Column("leased", BigId, nullable=False),
        sa.Column("completed", BigId, nullable=False),
        sa.Column("failed", BigId, nullable=False),
        sa.Column("minute", BigId, nullable=False),
        sa.Column("minute_reports", BigId, nullable=False),
        sa.Column("previous_reports", BigId, nullable=False),
        sa.PrimaryKeyConstraint("worker", name="pk_worker_sightings"),
    )
    op.create_index("ix_worker_sightings_last_seen_at", "worker_sightings", ["last_seen_at"])


def downgrade() -> None:
    op.drop_index("ix_worker_sightings_last_seen_at", table_name="worker_sightings")
    op.drop_table("worker_sightings")
