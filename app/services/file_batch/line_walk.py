"""Walks over the tasks of a run in the order of the input, with the lines that they were made of."""

import threading
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, select

from app.db import reading
from app.domain.leases import TaskKind
from app.models import ReadyTask, Task

PAGE = 200
_LINES = (
    select(
        Task.id, Task.status, Task.attempt, Task.result, Task.error, Task.erased, Task.finished_at,
        ReadyTask.custom_id, ReadyTask.body,
    )
    .join(ReadyTask, (ReadyTask.batch_id == Task.batch_id) & (ReadyTask.number == Task.ready_number))
    .where(Task.kind == TaskKind.ANALYZE)
    .order_by(Task.id)  # tasks are written in the order of the input
    .limit(PAGE)
)  # fmt: skip


class Stopped(Exception):
    """The process stops; another one begins anew."""


def walk(engine: Engine, batch_id: int, run: int, stopping: threading.Event | None = None) -> Iterator[Any]:
    """Walk over the tasks, a page in memory at a time. Raises Stopped."""
    of_run = _LINES.where(Task.batch_id == batch_id, Task.run == run)
    after: int | None = 0
    while after is not None:
        if stopping is not None and stopping.is_set():
            raise Stopped
        with reading(engine) as connection:
            rows = connection.execute(of_run.where(Task.id > after)).all()
        yield from rows
        after = rows[-1].id if len(rows) == PAGE else None
