"""Samples of the progress of a run, for its charts. The release before does not use this table."""

import sqlalchemy as sa
from alembic import op

from app.db import BigId, UtcTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "progress_samples",
        sa.Column("batch_id", BigId, autoincrement=False, nullable=False),
        sa.Column("run", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("gap_seconds", sa.Integer(), nullable=False),
        sa.Column("finished", BigId, nullable=False),
        sa.Column("attempts", BigId, nullable=False),
        sa.Column("failures", BigId, nullable=False),
        sa.Column("timed", BigId, nullable=False),
        sa.Column("latency_ms", BigId, nullable=False),
        sa.Column("cost_nanos", BigId, nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "run", "at", name="pk_progress_samples"),
    )


def downgrade() -> None:
    op.drop_table("progress_samples")
