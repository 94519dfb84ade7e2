"""A task of a run, its outcome, and the counters from which progress is read.

There is no foreign key to `batches`: its check, at an insert or a report, would wait for any session that holds the
batch's row, and a report never waits.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ColumnElement, Index, String, Text, false, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, BigId, UtcTime
from app.domain.leases import FINISHED, Outcome, TaskKind, TaskStatus
from app.models.batch import one_of


def _only(condition: str) -> dict[str, Any]:
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


def _has(status: TaskStatus) -> str:
    """Write the condition of a partial index over the tasks of one status."""
    return f"status = '{status}'"


def in_key_index(of: str = "") -> str:
    """Write the condition of the index of content keys for `tasks`, or for its alias `of`.

    A question that is put for the first time has no entry until it has an answer: entries are in no order, so they are
    the dearest part of making a task and of leasing it.
    """
    name, ended = f"{of}." if of else "", ", ".join(f"'{status}'" for status in FINISHED)
    return f"({name}run > 1 OR {name}has_late_answer OR {name}status IN ({ended}))"


_NEXT = ("batch_id", "run", "kind", "target", "available_at", "id")
_HAS_KEY = f"content_key IS NOT NULL AND {in_key_index()}"
_CELL = ("batch_id", "run", "document_id", "prompt_number", "model_number")
_COLUMN = ("batch_id", "run", "prompt_number", "model_number")


class Task(Base):
    __tablename__ = "tasks"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    batch_id: Mapped[int] = mapped_column(BigId)
    run: Mapped[int]
    kind: Mapped[str] = mapped_column(String(8))
    status: Mapped[str] = mapped_column(String(10), default=TaskStatus.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0)  # raised by each lease
    critical: Mapped[bool] = mapped_column(default=False)

    document_id: Mapped[int | None] = mapped_column(BigId)
    staging_task_id: Mapped[int | None] = mapped_column(BigId)  # whose result holds the text
    prompt_number: Mapped[int | None]
    model_number: Mapped[int | None]
    ready_number: Mapped[int | None]
    # Which part of a split document it is about, and of how many; 0 for a whole document. The result of the staging
    # task has the place of each part.
    part: Mapped[int] = mapped_column(default=0, server_default="0")
    parts: Mapped[int] = mapped_column(default=0, server_default="0")
    # What it needs of a worker: a number of `models` or of `ready_targets`. 0: staging, or an earlier release's task.
    target: Mapped[int] = mapped_column(default=0, server_default="0")

    available_at: Mapped[datetime] = mapped_column(UtcTime)  # it is not leased earlier
    lease_token: Mapped[str | None] = mapped_column(String(64))  # the last one given out
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcTime)
    leased_by: Mapped[str | None] = mapped_column(String(200))
    # What the last token was used for, and the status answered then; null while it is current.
    lease_outcome: Mapped[str | None] = mapped_column(String(10))
    lease_answer: Mapped[str | None] = mapped_column(String(10))
    # The earlier tokens, as app.domain.lease_tokens writes them: kept for ever, so that no paid answer is unknown.
    past_leases: Mapped[str] = mapped_column(Text, default="")
    # The attempts that have ended, as app.domain.attempts writes them; those that ended in an earlier release are not.
    ended_attempts: Mapped[str] = mapped_column(Text, default="", server_default="")

    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    truncated: Mapped[bool] = mapped_column(default=False, server_default=false())  # the answer was cut off
    document_cut: Mapped[bool] = mapped_column(default=False, server_default=false())  # only its beginning was sent
    finished_at: Mapped[datetime | None] = mapped_column(UtcTime)
    # Its content was erased: it has no result, no content key and no attempts; its late results have none; no report
    # adds any.
    erased: Mapped[bool] = mapped_column(default=False, server_default=false())

    # SHA-256 of the question: tasks with equal keys share one answer, whichever run paid for it.
    content_key: Mapped[str | None] = mapped_column(String(64))
    reused_from: Mapped[int | None] = mapped_column(BigId)  # the task whose answer this is
    has_late_answer: Mapped[bool] = mapped_column(default=False, server_default=false())  # among its late results
    # What all attempts together used; the latency is the last one's.
    input_tokens: Mapped[int] = mapped_column(BigId, default=0)
    output_tokens: Mapped[int] = mapped_column(BigId, default=0)
    cost_nanos: Mapped[int] = mapped_column(BigId, default=0)
    unpriced: Mapped[int] = mapped_column(default=0, server_default="0")  # attempts whose cost is not known
    latency_ms: Mapped[int | None]

    __table_args__ = (
        CheckConstraint(one_of("kind", TaskKind), name="kind"),
        CheckConstraint(one_of("status", TaskStatus), name="status"),
        # The next task to lease. With `available_at`: ordered by id alone, the planner walks the primary key.
        Index("ix_tasks_queued", *_NEXT, **_only(_has(TaskStatus.QUEUED))),
        # Leases that ran out, for the sweeper.
        Index("ix_tasks_leased", "lease_expires_at", **_only(_has(TaskStatus.LEASED))),
        # The task that made its batch FAILED.
        Index("ix_tasks_failed", "batch_id", "run", "kind", "id", **_only(_has(TaskStatus.FAILED))),
        # The newest answer to a question, in one step however many tasks have it.
        Index("ix_tasks_content_key", "batch_id", "content_key", "status", "id", **_only(_HAS_KEY)),
        # The answers to a document, by prompt and model: rows of a run's report.
        Index("ix_tasks_of_document", *_CELL, **_only("prompt_number IS NOT NULL")),
        # The slowest and the dearest answers of a prompt and a model, for a report that is sorted.
        Index("ix_tasks_latency", *_COLUMN, "latency_ms", "id", **_only("latency_ms IS NOT NULL")),
        Index("ix_tasks_cost", *_COLUMN, "cost_nanos", "id", **_only("cost_nanos > 0")),
        # The staging tasks of a document in all runs, to erase them.
        Index("ix_tasks_staging", "batch_id", "document_id", **_only(f"kind = '{TaskKind.STAGE}'")),
        # Lists and results of a run, in the order of ids.
        Index("ix_tasks_of_run", "batch_id", "run", "id"),
    )


# These conditions are for queries. SQLite uses a partial index only if the statement contains its condition as text.
IS_QUEUED = Task.status == literal_column(f"'{TaskStatus.QUEUED}'")
IS_LEASED = Task.status == literal_column(f"'{TaskStatus.LEASED}'")
IS_TIMED: ColumnElement[bool] = literal_column("tasks.latency_ms IS NOT NULL")
IS_PAID: ColumnElement[bool] = literal_column("tasks.cost_nanos > 0")
IS_FAILED = Task.status == literal_column(f"'{TaskStatus.FAILED}'")


class TaskCounts(Base):
    """How many tasks of a run are in each status, in shards, so that two reporters do not wait for one row.

    The row of one shard may be negative. The sum is exact at every commit, since each transaction that changes a
    task's status changes the row of one shard too.
    """

    __tablename__ = "task_counts"

    batch_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    run: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    queued: Mapped[int] = mapped_column(BigId)
    leased: Mapped[int] = mapped_column(BigId)
    completed: Mapped[int] = mapped_column(BigId)
    failed: Mapped[int] = mapped_column(BigId)
    critical: Mapped[int] = mapped_column(BigId)
    skipped: Mapped[int] = mapped_column(BigId)  # of `completed`: documents left out
    found: Mapped[int] = mapped_column(BigId)  # tasks of documents found in folders
    truncated: Mapped[int] = mapped_column(BigId, server_default="0")  # of `completed`: answers that were cut off
    unpriced: Mapped[int] = mapped_column(BigId, server_default="0")  # calls whose cost is not known
    input_tokens: Mapped[int] = mapped_column(BigId)
    output_tokens: Mapped[int] = mapped_column(BigId)
    cost_nanos: Mapped[int] = mapped_column(BigId)
    touched_at: Mapped[datetime] = mapped_column(UtcTime)  # the last lease or report: staging's time-out reads it


class UsageCounts(Base):
    """What one prompt with one model used in a run, in shards as TaskCounts; ready-made tasks have 0 for both."""

    __tablename__ = "usage_counts"

    batch_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    run: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    prompt_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    attempts: Mapped[int] = mapped_column(BigId)  # that were reported
    failures: Mapped[int] = mapped_column(BigId)  # of the attempts
    timed: Mapped[int] = mapped_column(BigId)  # of the attempts: those with a latency
    unpriced: Mapped[int] = mapped_column(BigId, server_default="0")  # of the attempts: those without a known cost
    input_tokens: Mapped[int] = mapped_column(BigId)
    output_tokens: Mapped[int] = mapped_column(BigId)
    cost_nanos: Mapped[int] = mapped_column(BigId)
    latency_ms: Mapped[int] = mapped_column(BigId)  # added up


class LateResult(Base):
    """A result that came too late to count, kept because it was paid for."""

    __tablename__ = "late_results"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    task_id: Mapped[int] = mapped_column(BigId)
    lease_token: Mapped[str] = mapped_column(String(64))
    attempt: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(10))
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    truncated: Mapped[bool] = mapped_column(default=False, server_default=false())
    document_cut: Mapped[bool] = mapped_column(default=False, server_default=false())
    # What it added to the run's usage; a second result of one lease adds nothing.
    input_tokens: Mapped[int] = mapped_column(BigId)
    output_tokens: Mapped[int] = mapped_column(BigId)
    cost_nanos: Mapped[int] = mapped_column(BigId)
    at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (
        CheckConstraint(one_of("outcome", Outcome), name="outcome"),
        # The same late report sent twice is kept once.
        Index("uq_late_results_report", "task_id", "lease_token", "outcome", unique=True),
    )
