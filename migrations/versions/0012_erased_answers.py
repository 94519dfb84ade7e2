"""Which batches an answer that is kept for an Idempotency-Key has content of: it is erased with that content.

The release before does not use this column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("idempotency_keys", sa.Column("batch_ids", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency_keys", "batch_ids")
