"""Walks over the tasks of a run in the order of the input, with the lines that they were made of."""

import threading
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, and_, case, select

from app import portions
from app.db import reading
from app.domain.leases import TaskKind, TaskStatus
from app.models import ReadyTask, Task

PAGE = 200
_of_line = and_(ReadyTask.batch_id == Task.batch_id, ReadyTask.number == Task.ready_number)
_body = case((Task.status == TaskStatus.COMPLETED, ReadyTask.body))  # only the line of an answer may name its model
_SIZES = (
    select(Task.id, portions.size_of(Task.result, Task.error, _body))
    .join(ReadyTask, _of_line)
    .where(Task.kind == TaskKind.ANALYZE)
    .order_by(Task.id)  # tasks are written in the order of the input
    .limit(PAGE)
)
_LINES = select(
    Task.id, Task.status, Task.attempt, Task.result, Task.error, Task.erased, Task.finished_at,
    ReadyTask.custom_id, _body.label("body"),
).join(ReadyTask, _of_line)  # fmt: skip


class Stopped(Exception):
    """The process stops; another one begins anew."""


def walk(engine: Engine, batch_id: int, run: int, stopping: threading.Event | None = None) -> Iterator[Any]:
    """Walk over the tasks, a portion in memory at a time. Raises Stopped."""
    sizes = _SIZES.where(Task.batch_id == batch_id, Task.run == run)
    after: int | None = 0
    while after is not None:
        if stopping is not None and stopping.is_set():
            raise Stopped
        with reading(engine) as connection:
            sized = connection.execute(sizes.where(Task.id > after)).all()
        yield from portions.read(engine, sized, _LINES)
        after = sized[-1].id if len(sized) == PAGE else None
