"""Connections: their circuits, what each task needs of a worker, what workers can do, and two options of batches.

The release before writes tasks without a target. They get 0, which any worker that calls models may lease; so do lines
of batches with more than MOST pairs of endpoint and model, and lines whose text PostgreSQL cannot read as text.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db import UtcTime
from app.models.batch import one_of

revision = "0008"
down_revision = "0007"

MOST = 1_000  # targets of a batch
LONGEST_MODEL = 200
QUEUED = "status = 'QUEUED'"
OPEN = "status IN ('QUEUED', 'LEASED')"  # what was finished is never leased again
ENDPOINTS = ("chat/completions", "completions", "responses", "embeddings", "moderations")


def _added() -> Iterator[tuple[str, sa.Column[Any]]]:
    """Give the new columns, each with its table; their defaults are for the rows that are there already."""
    for table in ("tasks", "ready_tasks"):
        yield table, sa.Column("target", sa.Integer(), nullable=False, server_default="0")
    yield "worker_sightings", sa.Column("can", sa.JSON(), nullable=True)
    yield "batches", sa.Column("pause_after_outage_seconds", sa.Integer(), nullable=True, server_default="600")
    yield "batches", sa.Column("auto_resume", sa.Boolean(), nullable=False, server_default=sa.true())


def upgrade() -> None:
    for table, column in _added():
        op.add_column(table, column)
    op.create_table(
        "circuits",
        sa.Column("connection", sa.String(length=200), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=6), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("error_class", sa.String(length=10), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", UtcTime(), nullable=True),
        sa.Column("next_try_at", UtcTime(), nullable=True),
        sa.Column("probe", sa.String(length=8), nullable=True),
        sa.Column("reported_by", sa.String(length=200), nullable=False),
        sa.Column("reported_at", UtcTime(), nullable=False),
        sa.CheckConstraint(one_of("state", ("open", "slowed", "closed")), name=op.f("ck_circuits_state")),
        sa.CheckConstraint(
            f"error_class IS NULL OR {one_of('error_class', ('outage', 'rate_limit', 'access', 'model'))}",
            name=op.f("ck_circuits_error_class"),
        ),
        sa.CheckConstraint(
            f"probe IS NULL OR {one_of('probe', ('task', 'call', 'answered'))}", name=op.f("ck_circuits_probe")
        ),
        sa.CheckConstraint("(state = 'closed') = (next_try_at IS NOT NULL)", name=op.f("ck_circuits_next_try_at")),
        sa.PrimaryKeyConstraint("connection", "model", name="pk_circuits"),
    )
    op.create_table(
        "ready_targets",
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("endpoint", sa.String(length=500), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_ready_targets_batch_id"),
        sa.PrimaryKeyConstraint("batch_id", "number", name="pk_ready_targets"),
    )
    _fill_targets(op.get_bind().dialect.name)
    op.drop_index("ix_tasks_queued", table_name="tasks")
    _queue_by("target", "available_at", "id")


def downgrade() -> None:
    op.drop_index("ix_tasks_queued", table_name="tasks")
    _queue_by("available_at", "id")
    op.drop_table("ready_targets")
    op.drop_table("circuits")
    for table, column in _added():
        op.drop_column(table, column.name)


def _queue_by(*columns: str) -> None:
    where = sa.text(QUEUED)
    keys = ["batch_id", "run", "kind", *columns]
    op.create_index("ix_tasks_queued", "tasks", keys, postgresql_where=where, sqlite_where=where)


def _fill_targets(dialect: str) -> None:
    urls = ", ".join(f"'/{each}'" for each in ENDPOINTS)
    endpoint = f"CASE WHEN url IN ({urls}) THEN '/v1' || url ELSE url END"
    if dialect == "postgresql":
        # A text with U+0000 cannot be read from JSON here, and would stop the migration.
        named = "json_typeof(body -> 'model') = 'string'"
        readable = r"position('\u0000' in CAST(body AS text)) = 0"
        model = f"CASE WHEN {readable} THEN CASE WHEN {named} THEN body ->> 'model' END END"
    else:
        model = "CASE WHEN json_type(body, '$.model') = 'text' THEN json_extract(body, '$.model') END"
    short = f"CASE WHEN length({model}) <= {LONGEST_MODEL} THEN {model} ELSE '' END"
    line = f"SELECT batch_id, number, {endpoint} AS endpoint, coalesce({short}, '') AS model FROM ready_tasks"
    pairs = (
        f"SELECT batch_id, min(number) AS first, endpoint, model FROM ({line}) AS lines"
        " GROUP BY batch_id, endpoint, model"
    )
    ranked = f"SELECT *, row_number() OVER (PARTITION BY batch_id ORDER BY first) AS place FROM ({pairs}) AS pairs"
    op.execute(
        sa.text(
            "INSERT INTO ready_targets (batch_id, number, endpoint, model)"
            f" SELECT batch_id, place, endpoint, model FROM ({_plain(ranked)}) AS ranked WHERE place <= {MOST}"
        )
    )
    op.execute(
        sa.text(
            "UPDATE ready_tasks SET target = found.target FROM"
            f" (SELECT l.batch_id, l.number, t.number AS target FROM ({_plain(line)}) AS l JOIN ready_targets t"
            " ON t.batch_id = l.batch_id AND t.endpoint = l.endpoint AND t.model = l.model) AS found"
            " WHERE ready_tasks.batch_id = found.batch_id AND ready_tasks.number = found.number"
        )
    )
    op.execute(f"UPDATE tasks SET target = model_number WHERE model_number IS NOT NULL AND {OPEN}")
    op.execute(
        "UPDATE tasks SET target = (SELECT r.target FROM ready_tasks r WHERE r.batch_id = tasks.batch_id"
        f" AND r.number = tasks.ready_number) WHERE ready_number IS NOT NULL AND {OPEN}"
    )


def _plain(sql: str) -> str:
    """Keep SQLAlchemy from reading a colon as the beginning of a parameter."""
    return sql.replace(":", r"\:")
