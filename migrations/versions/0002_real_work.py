"""Documents of folders, prompts with system and schema, usage and its limits, reuse of earlier answers.

Stored rows stay. Their usage is empty, and ready-made tasks get the content key by which their answers are reused.
The downgrade loses what the first schema cannot store: folders, and the documents found in them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db import BigId, UtcTime
from app.domain.content_keys import key_of_line
from app.domain.documents import OnUnreadable
from app.models.batch import ONE_SOURCE, one_of

revision = "0002"
down_revision = "0001"

_USED = ("input_tokens", "output_tokens", "cost_nanos")
_BACKFILL_LINES = 1000
# The name in the first migration: the naming convention was applied twice.
_OLD_SOURCE, _OLD_TEXT_OR_CONTENT = "ck_documents_ck_documents_one_source", "(text IS NULL) <> (content IS NULL)"
_FOUND = (("run", sa.Integer()), ("path", sa.Text()), ("folder", sa.Text()), ("parent_id", BigId))


def _added() -> Iterator[tuple[str, sa.Column[Any]]]:
    """Yield the new columns, each with its table. Their defaults are for the existing rows."""
    yield "batches", sa.Column("max_cost_nanos", BigId, nullable=True)
    yield "batches", sa.Column("max_tokens", BigId, nullable=True)
    yield "batches", sa.Column("max_failure_rate", sa.Double(), nullable=True)
    yield "batches", sa.Column("reuse", sa.JSON(none_as_null=True), nullable=True)
    for table in ("tasks", "late_results", "task_counts"):
        for name in _USED:
            yield table, _count(name)
    for name in ("skipped", "found"):
        yield "task_counts", _count(name)
    yield "tasks", sa.Column("content_key", sa.String(length=64), nullable=True)
    yield "tasks", sa.Column("reused_from", BigId, nullable=True)
    yield "tasks", sa.Column("latency_ms", sa.Integer(), nullable=True)
    yield "prompts", sa.Column("system", sa.Text(), nullable=True)
    yield "prompts", sa.Column("schema", sa.JSON(none_as_null=True), nullable=True)
    yield "ready_tasks", sa.Column("content_key", sa.String(length=64), nullable=False, server_default="")


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, BigId, nullable=False, server_default="0")


def upgrade() -> None:
    for table, column in _added():
        op.add_column(table, column)
    # As SQL: SQLite can add a column with a CHECK, but it cannot add a CHECK to a table.
    op.execute(
        f"ALTER TABLE batches ADD COLUMN on_unreadable VARCHAR(4) DEFAULT '{OnUnreadable.FAIL}' NOT NULL"
        f" CONSTRAINT ck_batches_on_unreadable CHECK ({one_of('on_unreadable', OnUnreadable)})"
    )
    _make_usage_counts()
    op.create_index(
        "ix_tasks_content_key", "tasks", ["batch_id", "content_key", "status", "id"], **_only("content_key IS NOT NULL")
    )
    op.create_index(
        "ix_tasks_of_document",
        "tasks",
        ["batch_id", "run", "document_id", "prompt_number", "model_number"],
        **_only("prompt_number IS NOT NULL"),
    )
    _open_documents()
    _give_keys_to_lines()
    _drop_defaults()


def _only(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def _make_usage_counts() -> None:
    place = ("batch_id", "run", "prompt_number", "model_number", "shard")
    counted = ("attempts", "failures", "timed", *_USED, "latency_ms")
    op.create_table(
        "usage_counts",
        *(
            sa.Column(name, BigId if name == "batch_id" else sa.Integer(), autoincrement=False, nullable=False)
            for name in place
        ),
        *(sa.Column(name, BigId, nullable=False) for name in counted),
        sa.PrimaryKeyConstraint(*place, name="pk_usage_counts"),
    )


def _documents(number_may_be_null: bool, *more: sa.schema.SchemaItem) -> sa.Table:
    """Describe the table before a change. SQLite changes a table by copying it, and cannot reflect its CHECK."""
    return sa.Table(
        "documents",
        sa.MetaData(),
        sa.Column("id", BigId, nullable=False),
        sa.Column("batch_id", BigId, nullable=False),
        sa.Column("number", sa.Integer(), nullable=number_may_be_null),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("media_type", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("size_bytes", BigId, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sa.Index("uq_documents_number", "batch_id", "number", unique=True),
        *more,
    )


def _open_documents() -> None:
    first = _documents(
        False,
        sa.CheckConstraint(_OLD_TEXT_OR_CONTENT, name=op.f(_OLD_SOURCE)),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_documents_batch_id"),
    )
    with op.batch_alter_table("documents", copy_from=first) as documents:
        documents.drop_constraint("fk_documents_batch_id", type_="foreignkey")
        documents.drop_constraint(op.f(_OLD_SOURCE), type_="check")
        documents.alter_column("number", existing_type=sa.Integer(), nullable=True)
        documents.alter_column("size_bytes", existing_type=sa.Integer(), type_=BigId, existing_nullable=False)
        for name, kind in _FOUND:
            documents.add_column(sa.Column(name, kind, nullable=True))
        documents.create_check_constraint(op.f("ck_documents_one_source"), ONE_SOURCE)
    op.create_index("uq_documents_content", "documents", ["batch_id", "run", "sha256"], unique=True)


def _give_keys_to_lines() -> None:
    connection = op.get_bind()
    body = sa.column("body", sa.JSON())
    lines = sa.table("ready_tasks", *map(sa.column, ("batch_id", "number", "method", "url", "content_key")), body)
    keyless = sa.select(lines).where(lines.c.content_key == "").limit(_BACKFILL_LINES)
    give = (
        sa.update(lines)
        .where(lines.c.batch_id == sa.bindparam("of_batch"), lines.c.number == sa.bindparam("of_number"))
        .values(content_key=sa.bindparam("key"))
    )
    while rows := connection.execute(keyless).mappings().all():
        connection.execute(give, [_key(row) for row in rows])


def _key(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {"of_batch": row["batch_id"], "of_number": row["number"], "key": key_of_line(row)}


def _drop_defaults() -> None:
    """Remove the defaults on PostgreSQL, since every INSERT gives these values. SQLite would copy each table."""
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("batches", "on_unreadable", server_default=None)
        for table, column in _added():
            if column.server_default is not None:
                op.alter_column(table, column.name, server_default=None)


def downgrade() -> None:
    op.drop_index("uq_documents_content", table_name="documents")
    op.execute("DELETE FROM documents WHERE number IS NULL OR path IS NOT NULL OR folder IS NOT NULL")
    _close_documents()
    op.drop_index("ix_tasks_of_document", table_name="tasks")
    op.drop_index("ix_tasks_content_key", table_name="tasks")
    op.drop_table("usage_counts")
    op.drop_column("batches", "on_unreadable")
    for table, column in _added():
        op.drop_column(table, column.name)


def _close_documents() -> None:
    opened = _documents(
        True,
        *(sa.Column(name, kind, nullable=True) for name, kind in _FOUND),
        sa.CheckConstraint(ONE_SOURCE, name=op.f("ck_documents_one_source")),
    )
    with op.batch_alter_table("documents", copy_from=opened) as documents:
        documents.drop_constraint(op.f("ck_documents_one_source"), type_="check")
        for name, _ in _FOUND:
            documents.drop_column(name)
        documents.alter_column("number", existing_type=sa.Integer(), nullable=False)
        documents.alter_column("size_bytes", existing_type=BigId, type_=sa.Integer(), existing_nullable=False)
        documents.create_check_constraint(op.f(_OLD_SOURCE), _OLD_TEXT_OR_CONTENT)
        documents.create_foreign_key("fk_documents_batch_id", "batches", ["batch_id"], ["id"])
