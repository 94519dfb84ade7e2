"""Ready-made tasks on PostgreSQL: a trigger that looks for the batch once for all rows, in place of a foreign key.

The release before works with either. On the way down all rows are checked again, which takes a while for many.
"""

from alembic import op

from app.models import defences

revision = "0020"
down_revision = "0019"

_KEY = "fk_ready_tasks_batch_id"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(_KEY, "ready_tasks", type_="foreignkey")
        for statement in (*defences.drop("postgresql"), *defences.create("postgresql")):
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in defences.OF_READY_TASKS_DROP:
            op.execute(statement)
        op.create_foreign_key(_KEY, "ready_tasks", "batches", ["batch_id"], ["id"])
