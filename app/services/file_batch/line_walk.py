"""Walks over the tasks of a run in the order of the input, with the lines that they were made of."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Engine, and_, case, select

from app import portions
from app.db import reading
from app.domain.leases import FINISHED, TaskKind, TaskStatus
from app.models import ReadyTask, Task

PAGE = 1_000
_of_line = and_(ReadyTask.batch_id == Task.batch_id, ReadyTask.number == Task.ready_number)
_body = case((Task.status == TaskStatus.COMPLETED, ReadyTask.body))  # only the line of an answer may name its model
_HEADS = (
    select(
        Task.id, Task.status, Task.erased, ReadyTask.custom_id, portions.size_of(Task.result, Task.error, _body)
    )
    .join(ReadyTask, _of_line)
    .where(Task.kind == TaskKind.ANALYZE)
    .order_by(Task.id)  # tasks are written in the order of the input
    .limit(PAGE)
)  # fmt: skip
_LINES = select(
    Task.id, Task.status, Task.attempt, Task.result, Task.error, Task.erased, Task.finished_at,
    ReadyTask.custom_id, _body.label("body"),
).join(ReadyTask, _of_line)  # fmt: skip


class Stopped(Exception):
    """The process stops; another one begins anew."""


def walk(engine: Engine, batch_id: int, run: int, stopping: threading.Event | None = None) -> Iterator[Any]:
    """Walk over the tasks, a portion in memory at a time; of one without an end, no value is read. Raises Stopped."""
    of_run = _HEADS.where(Task.batch_id == batch_id, Task.run == run)
    after: int | None = 0
    while after is not None:
        if stopping is not None and stopping.is_set():
            raise Stopped
        with reading(engine) as connection:
            heads = connection.execute(of_run.where(Task.id > after)).all()
        yield from _with_values(engine, heads)
        after = heads[-1].id if len(heads) == PAGE else None


def _with_values(engine: Engine, heads: Sequence[Any]) -> Iterator[Any]:
    """Read the values of those that have ended, and keep the order. A row that is gone by now is left out."""
    read = portions.read(engine, [head for head in heads if _has_values(head)], _LINES)
    row = next(read, None)
    for head in heads:
        if not _has_values(head):
            yield head
        elif row is not None and row.id == head.id:
            yield row
            row = next(read, None)


def _has_values(head: Any) -> bool:
    return head.erased or head.status in FINISHED
