"""Calls of one task whose cost is not known. The calls of tasks that ended before count as known.

The release before does not use this column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("unpriced", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("tasks", "unpriced")
