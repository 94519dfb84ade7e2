"""Documents that are too long for a model, answers to cut documents, and prompts that get pictures of documents.

What was stored before is of whole documents, and of their texts. The release before does not use these columns.
"""

import sqlalchemy as sa
from alembic import op

from app.domain.documents import OnTooLong, PromptInput
from app.models.batch import one_of

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    for table in ("tasks", "late_results"):
        op.add_column(table, sa.Column("document_cut", sa.Boolean(), nullable=False, server_default=sa.false()))
    # Written out: SQLite can add a column with its CHECK, but cannot add a CHECK to a table.
    op.execute(
        f"ALTER TABLE batches ADD COLUMN on_too_long VARCHAR(8) DEFAULT '{OnTooLong.FAIL}' NOT NULL"
        f" CONSTRAINT ck_batches_on_too_long CHECK ({one_of('on_too_long', OnTooLong)})"
    )
    op.execute(
        f"ALTER TABLE prompts ADD COLUMN input VARCHAR(6) DEFAULT '{PromptInput.TEXT}' NOT NULL"
        f" CONSTRAINT ck_prompts_input CHECK ({one_of('input', PromptInput)})"
    )


def downgrade() -> None:
    op.drop_column("prompts", "input")
    op.drop_column("batches", "on_too_long")
    for table in ("tasks", "late_results"):
        op.drop_column(table, "document_cut")
