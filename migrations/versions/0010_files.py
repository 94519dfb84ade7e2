"""Files, their bytes in chunks, and uploads in parts. The release before does not use these tables."""

import sqlalchemy as sa
from alembic import op

from app.db import BigId, UtcTime
from app.domain.files import Purpose, UploadStatus
from app.models.batch import one_of

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", BigId, nullable=False),
        sa.Column("filename", sa.String(length=500), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("size_bytes", BigId, nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("ready_at", UtcTime(), nullable=True),
        sa.Column("expires_at", UtcTime(), nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.Column("purged_at", UtcTime(), nullable=True),
        sa.CheckConstraint(one_of("purpose", Purpose), name="ck_files_purpose"),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    is_kept = sa.text("purged_at IS NULL")
    op.create_index("ix_files_kept", "files", ["id"], postgresql_where=is_kept, sqlite_where=is_kept)
    op.create_table(
        "uploads",
        sa.Column("id", BigId, nullable=False),
        sa.Column("filename", sa.String(length=500), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("mime_type", sa.String(length=200), nullable=False),
        sa.Column("size_bytes", BigId, nullable=False),
        sa.Column("lifetime_seconds", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("file_id", BigId, nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.Column("purged_at", UtcTime(), nullable=True),
        sa.CheckConstraint(one_of("status", UploadStatus), name="ck_uploads_status"),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    op.create_table(
        "file_parts",
        sa.Column("id", BigId, nullable=False),
        sa.Column("upload_id", BigId, nullable=True),
        sa.Column("file_id", BigId, nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("size_bytes", BigId, nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_file_parts"),
    )
    op.create_index("uq_file_parts_number", "file_parts", ["file_id", "number"], unique=True)
    op.create_index("ix_file_parts_of_upload", "file_parts", ["upload_id"])
    op.create_table(
        "file_chunks",
        sa.Column("part_id", BigId, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("part_id", "number", name="pk_file_chunks"),
    )


def downgrade() -> None:
    for table in ("file_chunks", "file_parts", "uploads", "files"):
        op.drop_table(table)
