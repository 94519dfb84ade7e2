"""What is kept for how long: purged batches, erased documents and answers, deletions under way.

The release before writes none of it, and reads what is left.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db import BigId, UtcTime

revision = "0009"
down_revision = "0007"


def _added() -> Iterator[tuple[str, sa.Column[Any]]]:
    """Give the new columns, each with its table; their defaults are for the rows that are there already."""
    yield "batches", sa.Column("keep_runs", sa.Integer(), nullable=True)
    yield "batches", sa.Column("answers_from_run", sa.Integer(), nullable=False, server_default="1")
    yield "batches", sa.Column("purged_at", UtcTime(), nullable=True)
    yield "documents", sa.Column("erased_at", UtcTime(), nullable=True)
    yield "tasks", sa.Column("erased", sa.Boolean(), nullable=False, server_default=sa.false())


def upgrade() -> None:
    for table, column in _added():
        op.add_column(table, column)
    only = {f"{dialect}_where": sa.text("kind = 'STAGE'") for dialect in ("postgresql", "sqlite")}
    op.create_index("ix_tasks_staging", "tasks", ["batch_id", "document_id"], **only)
    op.create_table(
        "deletions",
        sa.Column("batch_id", BigId, autoincrement=False, nullable=False),
        sa.Column("before_run", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("began_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "before_run", name="pk_deletions"),
    )


def downgrade() -> None:
    op.drop_table("deletions")
    op.drop_index("ix_tasks_staging", table_name="tasks")
    for table, column in reversed(list(_added())):
        op.drop_column(table, column.name)
