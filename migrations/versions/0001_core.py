"""The first schema: batches and their input, tasks, audit rows, requests, tokens, and the database's defences.

The constraints and triggers are generated from the enums and from the transition table. A later change of those needs
a migration that makes them again. Longer than 300 lines: one migration is one file.
"""

import sqlalchemy as sa
from alembic import op

from app.db import BigId, UtcTime
from app.domain.leases import Outcome, TaskKind, TaskStatus
from app.domain.request_status import RequestStatus
from app.domain.roles import Role
from app.domain.transitions import BatchState, Kind
from app.models import defences
from app.models.batch import one_of

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", BigId, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=True),
        sa.Column("revoked_at", UtcTime(), nullable=True),
        sa.CheckConstraint(one_of("role", Role), name="ck_api_tokens_role"),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.UniqueConstraint("sha256", name="uq_api_tokens_sha256"),
    )
    op.create_index(
        "uq_api_tokens_live_name",
        "api_tokens",
        ["name"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL"),
        sqlite_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "batches",
        sa.Column("id", BigId, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("document_count", sa.Integer(), nullable=False),
        sa.Column("prompt_count", sa.Integer(), nullable=False),
        sa.Column("model_count", sa.Integer(), nullable=False),
        sa.Column("ready_task_count", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("lease_seconds", sa.Integer(), nullable=False),
        sa.Column("max_failed_tasks", sa.Integer(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("staging_timeout_seconds", sa.Integer(), nullable=False),
        sa.Column("failure_code", sa.String(length=64), nullable=True),
        sa.Column("failure_message", sa.Text(), nullable=True),
        sa.Column("failure_task_id", BigId, nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("staged_at", UtcTime(), nullable=True),
        sa.Column("started_at", UtcTime(), nullable=True),
        sa.Column("finished_at", UtcTime(), nullable=True),
        sa.Column("archived_at", UtcTime(), nullable=True),
        sa.CheckConstraint(one_of("state", BatchState), name="ck_batches_state"),
        sa.CheckConstraint("priority BETWEEN 0 AND 9", name="ck_batches_priority"),
        sa.CheckConstraint("version >= 1 AND run >= 0", name="ck_batches_counters"),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )
    op.create_index("ix_batches_by_state", "batches", ["state", "id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("claimed_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_claimed_at", "idempotency_keys", ["claimed_at"], unique=False)
    op.create_table(
        "late_results",
        sa.Column("id", BigId, nullable=False),
        sa.Column("task_id", BigId, nullable=False),
        sa.Column("lease_token", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("at", UtcTime(), nullable=False),
        sa.CheckConstraint(one_of("outcome", Outcome), name="ck_late_results_outcome"),
        sa.PrimaryKeyConstraint("id", name="pk_late_results"),
    )
    op.create_index("uq_late_results_report", "late_results", ["task_id", "lease_token", "outcome"], unique=True)
    op.create_table(
        "state_change_requests",
        sa.Column("seq", BigId, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("batch_id", BigId, nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("if_version", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.Column("finished_at", UtcTime(), nullable=True),
        sa.CheckConstraint(one_of("status", RequestStatus), name="ck_state_change_requests_status"),
        sa.PrimaryKeyConstraint("seq", name="pk_state_change_requests"),
        sa.UniqueConstraint("id", name="uq_state_change_requests_id"),
    )
    op.create_index("ix_state_change_requests_of_batch", "state_change_requests", ["batch_id", "seq"], unique=False)
    op.create_index(
        "ix_state_change_requests_queued",
        "state_change_requests",
        ["batch_id", "seq"],
        unique=False,
        postgresql_where=sa.text("status = 'QUEUED'"),
        sqlite_where=sa.text("status = 'QUEUED'"),
    )
    op.create_table(
        "task_counts",
        sa.Column("batch_id", BigId, autoincrement=False, nullable=False),
        sa.Column("run", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("queued", BigId, nullable=False),
        sa.Column("leased", BigId, nullable=False),
        sa.Column("completed", BigId, nullable=False),
        sa.Column("failed", BigId, nullable=False),
        sa.Column("critical", BigId, nullable=False),
        sa.Column("touched_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "run", "kind", "shard", name="pk_task_counts"),
    )
    op.create_table(
        "tasks",
        sa.Column("id", BigId, nullable=False),
        sa.Column("batch_id", BigId, nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("critical", sa.Boolean(), nullable=False),
        sa.Column("document_id", BigId, nullable=True),
        sa.Column("staging_task_id", BigId, nullable=True),
        sa.Column("prompt_number", sa.Integer(), nullable=True),
        sa.Column("model_number", sa.Integer(), nullable=True),
        sa.Column("ready_number", sa.Integer(), nullable=True),
        sa.Column("available_at", UtcTime(), nullable=False),
        sa.Column("lease_token", sa.String(length=64), nullable=True),
        sa.Column("lease_expires_at", UtcTime(), nullable=True),
        sa.Column("leased_by", sa.String(length=200), nullable=True),
        sa.Column("lease_outcome", sa.String(length=10), nullable=True),
        sa.Column("lease_answer", sa.String(length=10), nullable=True),
        sa.Column("past_leases", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("finished_at", UtcTime(), nullable=True),
        sa.CheckConstraint(one_of("kind", TaskKind), name="ck_tasks_kind"),
        sa.CheckConstraint(one_of("status", TaskStatus), name="ck_tasks_status"),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_index(
        "ix_tasks_failed",
        "tasks",
        ["batch_id", "run", "kind", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'FAILED'"),
        sqlite_where=sa.text("status = 'FAILED'"),
    )
    op.create_index(
        "ix_tasks_leased",
        "tasks",
        ["lease_expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'LEASED'"),
        sqlite_where=sa.text("status = 'LEASED'"),
    )
    op.create_index("ix_tasks_of_run", "tasks", ["batch_id", "run", "id"], unique=False)
    op.create_index(
        "ix_tasks_queued",
        "tasks",
        ["batch_id", "run", "kind", "available_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'QUEUED'"),
        sqlite_where=sa.text("status = 'QUEUED'"),
    )
    op.create_table(
        "audit_log",
        sa.Column("batch_id", BigId, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("trigger", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("from_state", sa.String(length=16), nullable=True),
        sa.Column("to_state", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("at", UtcTime(), nullable=False),
        sa.CheckConstraint(one_of("from_state", BatchState), name="ck_audit_log_from_state"),
        sa.CheckConstraint(one_of("kind", Kind), name="ck_audit_log_kind"),
        sa.CheckConstraint(one_of("to_state", BatchState), name="ck_audit_log_to_state"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_audit_log_batch_id"),
        sa.PrimaryKeyConstraint("batch_id", "version", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at"], unique=False)
    op.create_table(
        "documents",
        sa.Column("id", BigId, nullable=False),
        sa.Column("batch_id", BigId, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("media_type", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.CheckConstraint("(text IS NULL) <> (content IS NULL)", name="ck_documents_one_source"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_documents_batch_id"),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
    )
    op.create_index("uq_documents_number", "documents", ["batch_id", "number"], unique=True)
    op.create_table(
        "models",
        sa.Column("batch_id", BigId, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("connection", sa.String(length=200), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_models_batch_id"),
        sa.PrimaryKeyConstraint("batch_id", "number", name="pk_models"),
    )
    op.create_table(
        "prompts",
        sa.Column("batch_id", BigId, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_prompts_batch_id"),
        sa.PrimaryKeyConstraint("batch_id", "number", name="pk_prompts"),
    )
    op.create_table(
        "ready_tasks",
        sa.Column("batch_id", BigId, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("custom_id", sa.String(length=500), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_ready_tasks_batch_id"),
        sa.PrimaryKeyConstraint("batch_id", "number", name="pk_ready_tasks"),
    )
    op.create_index("uq_ready_tasks_custom_id", "ready_tasks", ["batch_id", "custom_id"], unique=True)

    for statement in defences.create(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    for statement in defences.drop(op.get_bind().dialect.name):
        op.execute(statement)
    op.drop_index("uq_ready_tasks_custom_id", table_name="ready_tasks")
    op.drop_table("ready_tasks")
    op.drop_table("prompts")
    op.drop_table("models")
    op.drop_index("uq_documents_number", table_name="documents")
    op.drop_table("documents")
    op.drop_index("ix_audit_log_at", table_name="audit_log")
    op.drop_table("audit_log")
    op.drop_index(
        "ix_tasks_queued",
        table_name="tasks",
        postgresql_where=sa.text("status = 'QUEUED'"),
        sqlite_where=sa.text("status = 'QUEUED'"),
    )
    op.drop_index("ix_tasks_of_run", table_name="tasks")
    op.drop_index(
        "ix_tasks_leased",
        table_name="tasks",
        postgresql_where=sa.text("status = 'LEASED'"),
        sqlite_where=sa.text("status = 'LEASED'"),
    )
    op.drop_index(
        "ix_tasks_failed",
        table_name="tasks",
        postgresql_where=sa.text("status = 'FAILED'"),
        sqlite_where=sa.text("status = 'FAILED'"),
    )
    op.drop_table("tasks")
    op.drop_table("task_counts")
    op.drop_index(
        "ix_state_change_requests_queued",
        table_name="state_change_requests",
        postgresql_where=sa.text("status = 'QUEUED'"),
        sqlite_where=sa.text("status = 'QUEUED'"),
    )
    op.drop_index("ix_state_change_requests_of_batch", table_name="state_change_requests")
    op.drop_table("state_change_requests")
    op.drop_index("uq_late_results_report", table_name="late_results")
    op.drop_table("late_results")
    op.drop_index("ix_idempotency_keys_claimed_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index("ix_batches_by_state", table_name="batches")
    op.drop_table("batches")
    op.drop_index(
        "uq_api_tokens_live_name",
        table_name="api_tokens",
        postgresql_where=sa.text("revoked_at IS NULL"),
        sqlite_where=sa.text("revoked_at IS NULL"),
    )
    op.drop_table("api_tokens")
