"""The index of content keys leaves out questions that are put for the first time, until they have an answer.

It is built anew, which takes some seconds for a million tasks; nobody writes a task meanwhile. The release before
works with it: it finds no earlier answers by the index on SQLite, and a late answer that it keeps in between for a
task without an end is not reused.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

_INDEX, _COLUMNS = "ix_tasks_content_key", ["batch_id", "content_key", "status", "id"]
_HAS_KEY = "content_key IS NOT NULL"
_ANSWERED = f"{_HAS_KEY} AND (run > 1 OR has_late_answer OR status IN ('COMPLETED', 'FAILED'))"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("has_late_answer", sa.Boolean(), nullable=False, server_default=sa.false()))
    late = "SELECT task_id FROM late_results WHERE outcome = 'completed'"
    op.execute(f"UPDATE tasks SET has_late_answer = true WHERE id IN ({late})")
    _build_index(_ANSWERED)


def downgrade() -> None:
    _build_index(_HAS_KEY)
    op.drop_column("tasks", "has_late_answer")


def _build_index(condition: str) -> None:
    op.drop_index(_INDEX, table_name="tasks")
    where = {f"{dialect}_where": sa.text(condition) for dialect in ("postgresql", "sqlite")}
    op.create_index(_INDEX, "tasks", _COLUMNS, **where)
