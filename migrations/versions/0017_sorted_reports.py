"""Indexes over what a column of a report took and cost, and when a worker last worked. The release before uses none."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
COLUMN = ("batch_id", "run", "prompt_number", "model_number")
INDEXES = {
    "ix_tasks_latency": ("latency_ms", "latency_ms IS NOT NULL"),
    "ix_tasks_cost": ("cost_nanos", "cost_nanos > 0"),
}


def upgrade() -> None:
    for name, (by, condition) in INDEXES.items():
        where = {f"{dialect}_where": sa.text(condition) for dialect in ("postgresql", "sqlite")}
        op.create_index(name, "tasks", [*COLUMN, by, "id"], **where)
    op.add_column("worker_sightings", sa.Column("last_work_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("worker_sightings", "last_work_at")
    for name in INDEXES:
        op.drop_index(name, table_name="tasks")
