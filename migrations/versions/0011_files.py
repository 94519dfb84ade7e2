"""Files, their bytes in chunks, uploads in parts; batches that are made of a file, and deadlines.

The release before does not use these tables and columns.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db import BigId, UtcTime
from app.domain.file.files import Purpose, UploadStatus
from app.models.batch import one_of

revision = "0011"
down_revision = "0010"


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def _of_batches() -> Iterator[sa.Column[Any]]:
    yield sa.Column("input_file_id", sa.String(length=100), nullable=True)
    yield sa.Column("bad_line_count", sa.Integer(), nullable=False, server_default="0")
    yield sa.Column("deadline_at", UtcTime(), nullable=True)
    yield sa.Column("paused_at", UtcTime(), nullable=True)


def _of_file_batches() -> Iterator[Any]:
    yield sa.Column("batch_id", BigId, autoincrement=False, nullable=False)
    yield sa.Column("file_id", BigId, nullable=True)
    yield sa.Column("endpoint", sa.String(length=64), nullable=False)
    yield sa.Column("completion_window", sa.String(length=16), nullable=False)
    yield sa.Column("metadata", sa.JSON(none_as_null=True), nullable=True)
    yield sa.Column("output_lifetime_seconds", sa.Integer(), nullable=True)
    yield sa.Column("reuses", sa.Boolean(), nullable=False)
    yield sa.Column("created_at", UtcTime(), nullable=False)
    yield sa.Column("fingerprint", sa.String(length=64), nullable=False)
    yield sa.Column("actor", sa.String(length=200), nullable=False)
    yield sa.Column("role", sa.String(length=16), nullable=False)
    yield sa.Column("request_id", sa.String(length=64), nullable=True)
    yield sa.Column("run_wanted", sa.Boolean(), nullable=False)
    yield sa.Column("cancel_wanted", sa.Boolean(), nullable=False)
    yield sa.Column("cancel_actor", sa.String(length=200), nullable=True)
    yield sa.Column("cancel_role", sa.String(length=16), nullable=True)
    yield sa.Column("cancel_request_id", sa.String(length=64), nullable=True)
    yield sa.Column("cancelled_at", UtcTime(), nullable=True)
    yield sa.Column("model", sa.String(length=200), nullable=True)
    yield sa.Column("errors", sa.JSON(none_as_null=True), nullable=True)
    yield sa.Column("settled_run", sa.Integer(), nullable=False)
    yield sa.Column("settled_at", UtcTime(), nullable=True)
    yield sa.Column("output_file_id", BigId, nullable=True)
    yield sa.Column("error_file_id", BigId, nullable=True)
    yield sa.Column("usage", sa.JSON(none_as_null=True), nullable=True)
    yield sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_file_batches_batch_id")
    yield sa.PrimaryKeyConstraint("batch_id", name="pk_file_batches")


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
        sa.Column("batch_id", BigId, nullable=True),
        sa.Column("run", sa.Integer(), nullable=True),
        sa.CheckConstraint(one_of("purpose", Purpose), name="ck_files_purpose"),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    op.create_index("ix_files_of_batch", "files", ["batch_id", "run"])
    op.create_index("ix_files_kept", "files", ["id"], **_where("purged_at IS NULL"))
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
    for column in _of_batches():
        op.add_column("batches", column)
    op.create_table("file_batches", *_of_file_batches())
    is_open = sa.text("settled_at IS NULL")
    op.create_index(
        "ix_file_batches_open", "file_batches", ["batch_id"], postgresql_where=is_open, sqlite_where=is_open
    )
    op.create_index("ix_file_batches_fingerprint", "file_batches", ["fingerprint", "batch_id"])


def downgrade() -> None:
    for column in _of_batches():
        op.drop_column("batches", column.name)
    for table in ("file_batches", "file_chunks", "file_parts", "uploads", "files"):
        op.drop_table(table)
