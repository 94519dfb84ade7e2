"""Reads the file of a batch that is STAGING: its lines become ready-made tasks, or every bad line is named."""

import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Engine, select, update

from app import db
from app.db import reading
from app.domain.content_keys import key_of_line, key_of_sample
from app.domain.transitions import BEGINS_RUN, READ_INPUT
from app.errors import Refusal
from app.models import FileBatch
from app.services.batch.batch_service import BatchService
from app.services.batch.orders import Order
from app.services.connection.present_workers import known_abilities
from app.services.file.chunks import part_ids, read_parts
from app.services.file_batch.line_walk import Stopped
from app.services.input.bad_lines import BadLine, BadLines
from app.services.input.json_lines import collect_lines
from app.services.input.openai_lines import LineCheck
from app.services.input.ready_tasks import ReadyTasks

_file_batches = db.table_of(FileBatch)
Errors = list[dict[str, Any]]


class PartsStream(io.RawIOBase):
    """The bytes of a file's parts as a stream, which can begin again."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]], stopping: threading.Event) -> None:
        self._pieces = pieces
        self._stopping = stopping
        self._iterator = pieces()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset or whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only to the beginning")
        self._iterator, self._rest = self._pieces(), memoryview(b"")
        return 0

    def readinto(self, buffer: Any) -> int:
        if self._stopping.is_set():
            raise Stopped
        if not self._rest:
            self._rest = memoryview(next(self._iterator, b""))
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


def read(engine: Engine, batches: BatchService, batch_id: int, stopping: threading.Event) -> None:
    """Read the file of a batch. Raises Stopped, Locked."""
    with reading(engine) as connection:
        row = connection.execute(select(_file_batches).where(_file_batches.c.batch_id == batch_id)).one()
        parts = part_ids(connection, row.file_id) if row.file_id is not None else []
        known = known_abilities(connection)
    check = LineCheck(row.endpoint)
    with ReadyTasks(known, key_of_line if row.reuses else key_of_sample) as tasks:
        if row.file_id is None:
            bad = BadLines()
            bad.add({0: BadLine("There is no such file.", "invalid_request", "file_id")})
        else:
            stream = PartsStream(lambda: read_parts(engine, parts), stopping)
            bad = _bad_lines(stream, tasks, check)
        model = check.models.pop() if len(check.models) == 1 else None
        db.retry_while_locked(lambda: _keep(batches, batch_id, tasks, bad, model))


def _bad_lines(stream: PartsStream, tasks: ReadyTasks, check: LineCheck) -> BadLines:
    try:
        return collect_lines(io.BufferedReader(stream), tasks, check)
    except Refusal as refusal:  # the whole file is in another encoding, or has a line that is too long
        bad = BadLines()
        bad.add({0: BadLine(refusal.detail, "invalid_json_line")})
        return bad


def _keep(batches: BatchService, batch_id: int, tasks: ReadyTasks, bad: BadLines, model: str | None) -> None:
    """Store the tasks or the errors, and the edit that says so, in one transaction; the events follow from it."""
    with batches.deciding(Order()) as decision:
        locked = decision.lock(batch_id)
        if locked.batch.state not in BEGINS_RUN or not locked.facts.input_is_unread:
            return  # another process has read it, or the batch has gone on without it
        found = {"model": model, "errors": _errors_of(bad) or None}
        decision.connection.execute(update(_file_batches).where(_file_batches.c.batch_id == batch_id).values(found))
        if bad.count:
            columns = {"bad_line_count": bad.count}
        else:
            tasks.write(decision.connection, batch_id)
            columns = {"ready_task_count": tasks.count}
        locked.edit(READ_INPUT, Order(context=columns), columns)
        if bad.count:
            locked.raise_due_events(Order())


def _errors_of(bad: BadLines) -> Errors:
    return [
        {"code": each.code, "line": number or None, "message": each.message, "param": each.param}
        for number, each in bad.named
    ]
