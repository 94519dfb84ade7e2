"""Makes the output and error files of a run that has ended, once: from then on they do not change.

One walk over the tasks writes both files, in the order of the input, so each line is in one of them at most.
"""

import threading
from contextlib import suppress
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, bindparam, exists, select, update

from app import db
from app.db import reading, transaction
from app.domain import failures
from app.domain.answer.openai_lines import error_line, output_line, unfinished_line
from app.domain.answer.token_sums import TokenSums
from app.domain.file.batches import BATCH, UNFINISHED, has_files
from app.domain.file.files import Purpose
from app.domain.leases import TaskStatus
from app.domain.transitions import ENDS_OF_RUN
from app.errors import NotFound
from app.models import IS_LEASED, FileBatch, LateResult, Task
from app.services.batch.batch_rows import BatchRecord, look
from app.services.file import files
from app.services.file.files import FileDraft, Files, NewFile
from app.services.file_batch.line_walk import walk

_file_batches = db.table_of(FileBatch)
_has_reported = exists().where(LateResult.task_id == Task.id, LateResult.lease_token == Task.lease_token)
# `+ 0` keeps the planner from the index of the run: the leases of all batches are fewer than the tasks of one.
_UNDER_WAY = (
    select(Task.id)
    .where(IS_LEASED, Task.batch_id + 0 == bindparam("of_batch"), Task.run == bindparam("of_run"), ~_has_reported)
    .limit(1)
)


class Superseded(Exception):
    """Another process has made the files of this run."""


def settle(engine: Engine, batch_id: int, stopping: threading.Event) -> None:
    """Make the files of a batch whose run has ended; a cancelled one first waits for its last lease. Raises Stopped."""
    with reading(engine) as connection:
        try:
            batch, facts = look(connection, batch_id)
        except NotFound:  # archived
            return
        row = connection.execute(select(_file_batches).where(_file_batches.c.batch_id == batch_id)).one()
    if batch.state not in ENDS_OF_RUN:
        return
    if not has_files(batch.state, batch.failure_code):
        with transaction(engine) as connection:
            _record(connection, batch, {"output_file_id": None, "error_file_id": None, "usage": None})
        return
    if batch.failure_code == failures.CANCELLED and facts.analysis.leased and _lines_under_way(engine, batch):
        return
    with suppress(Superseded):
        _make_files(engine, batch, row.output_lifetime_seconds, stopping)


def _lines_under_way(engine: Engine, batch: BatchRecord) -> bool:
    """Whether a worker may still be at work on a line: it holds the lease, and has not reported."""
    with reading(engine) as connection:
        values = {"of_batch": batch.id, "of_run": batch.run}
        return connection.execute(_UNDER_WAY, values).first() is not None


def _make_files(engine: Engine, batch: BatchRecord, lifetime_seconds: int | None, stopping: threading.Event) -> None:
    store, tokens = Files(engine), TokenSums()
    with store.draft() as output, store.draft() as errors:
        for task in walk(engine, batch.id, batch.run, stopping):
            if task.erased:
                _write(errors, error_line(task))
            elif task.status == TaskStatus.COMPLETED:
                line = output_line(task)
                tokens.add(line["response"]["body"])
                _write(output, line)
            elif task.status == TaskStatus.FAILED:
                _write(errors, error_line(task))
            elif code := UNFINISHED.get(batch.failure_code or ""):
                _write(errors, unfinished_line(task, code))
        output.writer.flush()
        errors.writer.flush()
        with transaction(engine) as connection:
            made = {
                "output_file_id": _finish(connection, output, _new_file(batch, "output", lifetime_seconds)),
                "error_file_id": _finish(connection, errors, _new_file(batch, "error", lifetime_seconds)),
            }
            _record(connection, batch, {**made, "usage": tokens.usage()})


def _write(draft: FileDraft, line: dict[str, Any]) -> None:
    draft.writer.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _new_file(batch: BatchRecord, what: str, lifetime_seconds: int | None) -> NewFile:
    name = f"{BATCH}{batch.id}_{what}.jsonl"
    return NewFile(name, Purpose.BATCH_OUTPUT, lifetime_seconds, batch.id, batch.run)


def _finish(connection: Connection, draft: FileDraft, new: NewFile) -> int | None:
    """Make a file visible; one without a line is no file."""
    if not draft.writer.size_bytes:
        files.mark_deleted(connection, draft.file_id)
        return None
    return draft.finish_in(connection, new).id


def _record(connection: Connection, batch: BatchRecord, made: dict[str, Any]) -> None:
    """Keep which files belong to the run, if it has none yet. Raises Superseded."""
    values = {**made, "settled_run": batch.run, "settled_at": db.now(connection)}
    mine = (_file_batches.c.batch_id == batch.id, _file_batches.c.settled_run < batch.run)
    if connection.execute(update(_file_batches).where(*mine).values({**values, "run_wanted": False})).rowcount != 1:
        raise Superseded
