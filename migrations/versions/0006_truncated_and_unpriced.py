"""Answers that were cut off, and calls whose cost is not known.

What was stored before counts as whole, and its cost as known.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db import BigId
from app.domain.answer.server_answers import OnTruncated
from app.models.batch import one_of

revision = "0006"
down_revision = "0005"


def _added() -> Iterator[tuple[str, sa.Column[Any]]]:
    """Give the new columns, each with its table; their defaults are for the rows that are there already."""
    for table in ("tasks", "late_results"):
        yield table, sa.Column("truncated", sa.Boolean(), nullable=False, server_default=sa.false())
    for table, name in (("task_counts", "truncated"), ("task_counts", "unpriced"), ("usage_counts", "unpriced")):
        yield table, sa.Column(name, BigId, nullable=False, server_default="0")


def upgrade() -> None:
    for table, column in _added():
        op.add_column(table, column)
    # Written out: SQLite can add a column with its CHECK, but cannot add a CHECK to a table.
    op.execute(
        f"ALTER TABLE batches ADD COLUMN on_truncated VARCHAR(4) DEFAULT '{OnTruncated.KEEP}' NOT NULL"
        f" CONSTRAINT ck_batches_on_truncated CHECK ({one_of('on_truncated', OnTruncated)})"
    )


def downgrade() -> None:
    op.drop_column("batches", "on_truncated")
    for table, column in _added():
        op.drop_column(table, column.name)
