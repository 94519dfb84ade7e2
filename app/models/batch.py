"""A batch and its input. The row of a batch holds what was decided about it, and nothing per task.

The columns of a batch are typed here and nowhere else: records of a batch and writes of a batch follow from them.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, BigId, UtcTime
from app.domain.answer.server_answers import OnTruncated
from app.domain.documents import OnTooLong, OnUnreadable, PromptInput
from app.domain.transitions import INITIAL, BatchState
from app.sql_functions import folded


def one_of(column: str, words: Any) -> str:
    """Write the SQL condition that a column has one of these words."""
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


_STATES = {str(state): state for state in BatchState}


class StateName(TypeDecorator[BatchState]):
    """A state of a batch, stored as its name."""

    impl = String(16)
    cache_ok = True

    def process_result_value(self, value: str | None, _: Dialect) -> BatchState | None:
        return None if value is None else _STATES[value]


FIXED = {"fixed": True}  # marks a column that no change writes after the creation


class Batch(Base):
    __tablename__ = "batches"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, info=FIXED)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    state: Mapped[BatchState] = mapped_column(StateName, default=INITIAL)
    version: Mapped[int] = mapped_column(default=1)
    run: Mapped[int] = mapped_column(default=0)

    # The amounts of input: guards read them under the lock, so input changes only together with this row.
    document_count: Mapped[int] = mapped_column(default=0)
    prompt_count: Mapped[int] = mapped_column(default=0)
    model_count: Mapped[int] = mapped_column(default=0)
    ready_task_count: Mapped[int] = mapped_column(default=0)  # 0 until the file that they come from is read
    input_file_id: Mapped[str | None] = mapped_column(String(100), info=FIXED)  # of a batch that is made of a file
    bad_line_count: Mapped[int] = mapped_column(default=0, server_default="0")  # of that file, when it was last read

    max_attempts: Mapped[int] = mapped_column(default=3)
    lease_seconds: Mapped[int] = mapped_column(default=60)
    max_failed_tasks: Mapped[int | None]
    priority: Mapped[int] = mapped_column(default=0)
    staging_timeout_seconds: Mapped[int] = mapped_column(default=3600)
    # The limits at which a run is paused: billionths of the currency of the prices; input and output tokens together;
    # the share of failed calls of one connection.
    max_cost_nanos: Mapped[int | None] = mapped_column(BigId)
    max_tokens: Mapped[int | None] = mapped_column(BigId)
    max_failure_rate: Mapped[float | None]
    on_unreadable: Mapped[str] = mapped_column(String(4), default=OnUnreadable.FAIL)
    on_truncated: Mapped[str] = mapped_column(
        String(4),
        default=OnTruncated.KEEP,
        server_default=str(OnTruncated.KEEP),
    )
    on_too_long: Mapped[str] = mapped_column(
        String(8),
        default=OnTooLong.FAIL,
        server_default=str(OnTooLong.FAIL),
    )
    # How a document is split, with `on_too_long: split`: the longest part, and what each repeats of the one before it.
    part_characters: Mapped[int] = mapped_column(default=40_000, server_default="40000")
    overlap_characters: Mapped[int] = mapped_column(default=400, server_default="400")
    # How long a run goes on without a call before it is paused (None: for ever), and whether it goes on by itself.
    pause_after_outage_seconds: Mapped[int | None] = mapped_column(default=600, server_default="600")
    auto_resume: Mapped[bool] = mapped_column(default=True, server_default=true())
    # Which earlier results the present run reuses, as its stage or restage requested; None means all that fit.
    reuse: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    # How many of the newest runs keep their answers (None: all), and the first run of which nothing was erased so far.
    keep_runs: Mapped[int | None]
    answers_from_run: Mapped[int] = mapped_column(default=1, server_default="1")
    deadline_at: Mapped[datetime | None] = mapped_column(UtcTime)  # while PAUSED: as it was when the pause began
    paused_at: Mapped[datetime | None] = mapped_column(UtcTime)  # only while PAUSED

    failure_code: Mapped[str | None] = mapped_column(String(64))
    failure_message: Mapped[str | None] = mapped_column(Text)
    failure_task_id: Mapped[int | None] = mapped_column(BigId)

    created_at: Mapped[datetime] = mapped_column(UtcTime, info=FIXED)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)
    staged_at: Mapped[datetime | None] = mapped_column(UtcTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcTime)
    archived_at: Mapped[datetime | None] = mapped_column(UtcTime)
    purged_at: Mapped[datetime | None] = mapped_column(UtcTime)  # when the deletion of all its content began

    # Every UPDATE names the version that it read and raises it by 1; if it matches no row, it raises StaleDataError.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    __table_args__ = (
        CheckConstraint(one_of("state", BatchState), name="state"),
        CheckConstraint("version >= 1 AND run >= 0", name="counters"),
        CheckConstraint("priority BETWEEN 0 AND 9", name="priority"),
        CheckConstraint(one_of("on_unreadable", OnUnreadable), name="on_unreadable"),
        CheckConstraint(one_of("on_truncated", OnTruncated), name="on_truncated"),
        CheckConstraint(one_of("on_too_long", OnTooLong), name="on_too_long"),
        # Lists "batches in this state, newest first", and finds the active batches for leases and the sweeper.
        Index("ix_batches_by_state", "state", "id"),
    )


ONE_SOURCE = (
    " + ".join(f"(CASE WHEN {name} IS NULL THEN 0 ELSE 1 END)" for name in ("text", "content", "path", "folder"))
    + " = 1"
)


class Document(Base):
    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    batch_id: Mapped[int] = mapped_column(
        BigId
    )  # no foreign key: the report of a folder inserts rows, and must not wait for the batch's lock
    number: Mapped[int | None]  # from 1, without gaps: staging continues after the last. None: found in a folder
    run: Mapped[int | None]  # the run that found it in a folder; None for the batch's own, which every run reads
    name: Mapped[str] = mapped_column(String(500))
    media_type: Mapped[str] = mapped_column(String(200))
    text: Mapped[str | None] = mapped_column(Text)  # given inline
    content: Mapped[bytes | None] = mapped_column(LargeBinary)  # or uploaded as a file
    path: Mapped[str | None] = mapped_column(Text)  # or found by a worker below its root
    folder: Mapped[str | None] = mapped_column(Text)  # or a pattern of such paths, which staging resolves
    parent_id: Mapped[int | None] = mapped_column(BigId)  # the folder that a path was found in
    size_bytes: Mapped[int] = mapped_column(BigId)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcTime)  # when it got this content: a document may be replaced
    erased_at: Mapped[datetime | None] = mapped_column(UtcTime)  # its name and its text are empty since then

    __table_args__ = (
        CheckConstraint(ONE_SOURCE, name="one_source"),
        Index("uq_documents_number", "batch_id", "number", unique=True),
        # Equal content is read once. This index ensures it for the files of a folder; for the batch's own documents
        # (run is null) the batch's lock does.
        Index("uq_documents_content", "batch_id", "run", "sha256", unique=True),
        Index("ix_documents_name", folded(name), "id"),  # the search for the beginning of a name
    )


class Prompt(Base):
    __tablename__ = "prompts"

    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    system: Mapped[str | None] = mapped_column(Text)
    schema: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # JSON Schema of the answer
    input: Mapped[str] = mapped_column(String(6), default=PromptInput.TEXT, server_default=str(PromptInput.TEXT))

    __table_args__ = (CheckConstraint(one_of("input", PromptInput), name="input"),)


class Model(Base):
    """A model that the batch calls: a connection that the worker knows, and the name of the model there."""

    __tablename__ = "models"

    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    connection: Mapped[str] = mapped_column(String(200))
    model: Mapped[str] = mapped_column(String(200))
    params: Mapped[dict[str, Any]] = mapped_column(JSON)


class ReadyTask(Base):
    """A ready-made task: one line of an OpenAI Batch input file."""

    __tablename__ = "ready_tasks"

    batch_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    custom_id: Mapped[str] = mapped_column(String(500))
    method: Mapped[str] = mapped_column(String(10))
    url: Mapped[str] = mapped_column(String(500))
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    content_key: Mapped[str] = mapped_column(String(64))
    target: Mapped[int] = mapped_column(default=0, server_default="0")  # of ready_targets; 0: an earlier release's

    __table_args__ = (
        Index("uq_ready_tasks_custom_id", "batch_id", "custom_id", unique=True),
        # PostgreSQL has a trigger in its place: see app/models/defences.py.
        ForeignKeyConstraint(["batch_id"], ["batches.id"]).ddl_if(dialect="sqlite"),
    )


class ReadyTarget(Base):
    """What some ready-made tasks of a batch need of a worker: each endpoint with each model once."""

    __tablename__ = "ready_targets"

    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # from 1
    endpoint: Mapped[str] = mapped_column(String(500))
    model: Mapped[str] = mapped_column(String(200))  # empty where a line names no model
