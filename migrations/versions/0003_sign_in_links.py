"""Links that sign the admin in once. The release before does not use this table."""

import sqlalchemy as sa
from alembic import op

from app.db import UtcTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "sign_in_links",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_sign_in_links"),
    )


def downgrade() -> None:
    op.drop_table("sign_in_links")
