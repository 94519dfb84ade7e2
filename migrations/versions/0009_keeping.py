"""What is kept for how long: purged batches, erased documents and answers, deletions under way.

The release before writes none of it, and reads what is left.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db import BigId, UtcTime

revision = "0009"
down_revision = "0008"


def _added() -> Iterator[tuple[str, sa.Column[Any]]]:
    """Give the new columns, each with its table; their defaults are for the rows that are there already."""
    yield "batches", sa.Column("keep_runs", sa.Integer(), nullable=True)
    yield "batches", sa.Column("answers_from_run", sa.Integer(), nullable=False, server_default="1")
    yield "batches", sa.Column("purged_at", UtcTime(), nullable=True)
    yield "documents", sa.Column("erased_at", UtcTime(), nullable=True)
    yield "tasks", sa.Column("erased", sa.Boolean(), nullable=False, server_default=sa.false())


# PostgreSQL's own threshold is a fifth of the table: of ten million tasks, two million dead rows would stay.
AUTOVACUUM = {"autovacuum_vacuum_scale_factor": "0.02", "autovacuum_vacuum_threshold": "5000"}


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
    if op.get_bind().dialect.name == "postgresql":
        settings = ", ".join(f"{name} = {value}" for name, value in AUTOVACUUM.items())
        op.execute(f"ALTER TABLE tasks SET ({settings})")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE tasks RESET ({', '.join(AUTOVACUUM)})")
    op.drop_table("deletions")
    op.drop_index("ix_tasks_staging", table_name="tasks")
    for table, column in reversed(list(_added())):
        op.drop_column(table, column.name)
