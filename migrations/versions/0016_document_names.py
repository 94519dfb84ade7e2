"""An index over the names of documents, for the search. The release before does not use it."""

from alembic import op
from sqlalchemy import column

from app.sql_functions import folded

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_index("ix_documents_name", "documents", [folded(column("name")), "id"])


def downgrade() -> None:
    op.drop_index("ix_documents_name", table_name="documents")
