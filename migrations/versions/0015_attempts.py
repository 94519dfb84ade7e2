"""The attempts of a task that have ended, one line for each. Those that ended before are not known.

The release before does not use this column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("ended_attempts", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("tasks", "ended_attempts")
