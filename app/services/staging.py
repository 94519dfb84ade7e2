"""How the tasks of a run come to be: from documents by staging, from staged text by analysis, or ready-made.

Tasks are written in slices, since a batch may have a million; which slice is next follows from what is counted,
so that a process that dies between two slices loses nothing and doubles nothing.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, literal, select

from app.db import UtcTime
from app.domain.leases import TaskKind, TaskStatus
from app.models import Document, Model, Prompt, ReadyTask, Task
from app.services.counters import CountChanges
from app.services.records import BatchRecord, RunCounts
from app.services.tasks import HeldTask

SLICE = 1_000  # tasks that one transaction writes while it holds the batch

_run: Any = (bindparam("batch_id"), bindparam("run"))
_queued: Any = (
    literal(TaskStatus.QUEUED),
    literal(0),
    literal(False),
    literal(""),
    *[literal(0)] * 3,
    bindparam("now", type_=UtcTime),
)
_COMMON = [
    "batch_id", "run", "status", "attempt", "critical", "past_leases", "input_tokens", "output_tokens", "cost_nanos",
    "available_at", "kind",
]  # fmt: skip

_FROM_DOCUMENTS = insert(Task).from_select(
    [*_COMMON, "document_id"],
    select(*_run, *_queued, literal(TaskKind.STAGE), Document.id)
    .where(Document.batch_id == bindparam("batch_id"), Document.number > bindparam("written"))
    .order_by(Document.number)
    .limit(bindparam("slice")),
    include_defaults=False,
)
_FROM_READY_TASKS = insert(Task).from_select(
    [*_COMMON, "ready_number", "content_key"],
    select(*_run, *_queued, literal(TaskKind.ANALYZE), ReadyTask.number, ReadyTask.content_key)
    .where(ReadyTask.batch_id == bindparam("batch_id"), ReadyTask.number > bindparam("written"))
    .order_by(ReadyTask.number)
    .limit(bindparam("slice")),
    include_defaults=False,
)
_FROM_FOLDER = insert(Task).from_select(
    [*_COMMON, "document_id"],
    select(*_run, *_queued, literal(TaskKind.STAGE), Document.id)
    .where(
        Document.batch_id == bindparam("batch_id"),
        Document.run == bindparam("run"),
        Document.parent_id == bindparam("folder_id"),
    )
    .order_by(Document.path),
    include_defaults=False,
)
_staged = Task.__table__.alias("staged")
_FROM_STAGED = insert(Task).from_select(
    [*_COMMON, "document_id", "staging_task_id", "prompt_number", "model_number"],
    select(
        _staged.c.batch_id,
        _staged.c.run,
        *_queued,
        literal(TaskKind.ANALYZE),
        _staged.c.document_id,
        _staged.c.id,
        Prompt.number,
        Model.number,
    )
    .where(
        _staged.c.id.in_(bindparam("staging_task_ids", expanding=True)),
        Prompt.batch_id == _staged.c.batch_id,
        Model.batch_id == _staged.c.batch_id,
    )
    .order_by(_staged.c.id, Prompt.number, Model.number),
    include_defaults=False,
)


def write_slice(connection: Connection, batch: BatchRecord, counts: RunCounts, now: datetime) -> int:
    """Write the next slice of the run's first tasks, under the batch's lock; return how many it wrote."""
    if batch.ready_task_count:
        kind, statement, written = TaskKind.ANALYZE, _FROM_READY_TASKS, counts.analysis.written
    else:
        kind, statement, written = TaskKind.STAGE, _FROM_DOCUMENTS, counts.staging.written
    values = {"batch_id": batch.id, "run": batch.run, "now": now, "written": written, "slice": SLICE}
    amount = connection.execute(statement, values).rowcount
    if amount:
        changes = CountChanges()
        changes.add((batch.id, batch.run, kind), TaskStatus.QUEUED, amount)
        changes.write(connection, now)
    return amount


def write_analysis_tasks(connection: Connection, staging_task_ids: Iterable[int], now: datetime) -> None:
    """Write the analysis tasks, prompts x models, of staging tasks that were completed in this transaction."""
    connection.execute(_FROM_STAGED, {"staging_task_ids": list(staging_task_ids), "now": now})


def write_found_tasks(connection: Connection, folder: HeldTask, now: datetime) -> int:
    """Write the staging tasks of the documents that a folder was found to hold; return how many."""
    values = {"batch_id": folder.batch_id, "run": folder.run, "folder_id": folder.document_id, "now": now}
    return connection.execute(_FROM_FOLDER, values).rowcount
