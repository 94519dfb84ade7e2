"""Deletions under way: their content goes in slices, each a short transaction that nobody has to wait for.

What is deleted was decided, with an audit row, when the deletion began. If the process dies in between, any process
goes on: it begins at the first row that is left. Two processes at work on one deletion do no harm.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, null, or_, select, update

from app import db
from app.db import reading, transaction
from app.domain.transitions import ERASE_RUNS
from app.models import (
    WHOLE_BATCH,
    Batch,
    Deletion,
    Document,
    FileBatch,
    ProgressSample,
    Prompt,
    ReadyTarget,
    ReadyTask,
)
from app.services.file import files
from app.services.task import erasure
from app.services.task.erasure import Slice
from app.services.upkeep.pace import Pace

_deletions = db.table_of(Deletion)
_OPEN = (
    select(_deletions.c.batch_id, _deletions.c.before_run, Batch.run)
    .join(Batch, Batch.id == _deletions.c.batch_id)
    .order_by(_deletions.c.batch_id, _deletions.c.before_run)
)
_KEY = (_deletions.c.batch_id == bindparam("of_batch"), _deletions.c.before_run == bindparam("before"))
_CLAIM = select(_deletions.c.batch_id).where(*_KEY).with_for_update(skip_locked=True)
# While answers are erased, no run begins: it may reuse one of them.
_AT_REST = (
    select(Batch.id)
    .where(Batch.id == bindparam("of_batch"), Batch.state.in_(ERASE_RUNS.sources))
    .with_for_update(key_share=True, skip_locked=True)
)
_FINISH = delete(_deletions).where(*_KEY)
Key = tuple[int, int]  # batch id, before which run
Part = Callable[[Connection, int, int], Slice]  # deletes the rows after a place, up to so many


class Done(NamedTuple):
    """A slice that is committed: of which batch, how many rows, and how long its transaction took."""

    batch_id: int
    amount: int
    seconds: float


def begin(connection: Connection, batch_id: int, before_run: int = WHOLE_BATCH) -> None:
    """Begin a deletion, in the transaction of its audit row."""
    key = {"of_batch": batch_id, "before": before_run}
    if connection.execute(select(_deletions.c.batch_id).where(*_KEY), key).first() is None:
        values = {"batch_id": batch_id, "before_run": before_run, "began_at": db.now(connection)}
        connection.execute(insert(_deletions), values)


class Deletions:
    """The deletions of a database that have begun; it remembers how far this process has come with each."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._walks: dict[Key, _Walk] = {}

    def batches(self) -> set[int]:
        """Find the purged batches of which something is left to delete."""
        with reading(self._engine) as connection:
            return {row.batch_id for row in connection.execute(_OPEN) if row.before_run == WHOLE_BATCH}

    def slices(self) -> Iterator[Done]:
        """Delete what is left of all deletions, slice by slice; yield after each commit. Raises Busy, Unavailable."""
        with reading(self._engine) as connection:
            found: dict[Key, int] = {(row[0], row[1]): row[2] for row in connection.execute(_OPEN)}
        self._walks = {key: self._walks.get(key) or _Walk(*key, run) for key, run in found.items()}
        for walk in self._walks.values():
            while done := walk.step(self._engine):
                yield done


class _Walk:
    """One deletion in this process: the parts that are left, and the place in the first of them."""

    def __init__(self, batch_id: int, before_run: int, run: int) -> None:
        self._batch_id, self._before_run = batch_id, before_run
        self._key = {"of_batch": batch_id, "before": before_run}
        self._parts = list(_parts(batch_id, before_run, run))
        self._pace = Pace()
        self._after = 0

    def step(self, engine: Engine) -> Done | None:
        """Delete the next slice; None if there is none, or if another process is at work on this deletion."""
        begun = time.monotonic()
        with transaction(engine) as connection:
            amount = self._delete(connection)
        seconds = time.monotonic() - begun
        self._pace.took(seconds)
        return Done(self._batch_id, amount, seconds) if amount else None

    def _delete(self, connection: Connection) -> int:
        if connection.execute(_CLAIM, self._key).one_or_none() is None:
            return 0
        if self._before_run != WHOLE_BATCH and connection.execute(_AT_REST, self._key).one_or_none() is None:
            return 0
        while self._parts:
            done = self._parts[0](connection, self._after, self._pace.rows)
            if done.amount:
                self._after = done.last
                return done.amount
            del self._parts[0]
            self._after, self._pace = 0, Pace()
        connection.execute(_FINISH, self._key)
        return 0


def _parts(batch_id: int, before_run: int, run: int) -> Iterator[Part]:
    if before_run != WHOLE_BATCH:
        yield partial(_delete_files, batch_id, before_run)
        for each in range(1, before_run):
            yield partial(_erase_answers, batch_id, each, before_run)
        return
    yield partial(_delete_files, batch_id, run + 1)
    yield partial(_forget_caller, batch_id)
    for each in range(1, run + 1):
        yield partial(_delete_tasks, batch_id, each)
    for model in (ReadyTask, ReadyTarget, Document, Prompt):
        yield _numbered(db.table_of(model), batch_id)
    yield partial(_delete_found, batch_id)
    yield partial(_delete_samples, batch_id)


def _erase_answers(batch_id: int, run: int, kept_from: int, connection: Connection, after: int, rows: int) -> Slice:
    return erasure.erase_slice(connection, batch_id, run, kept_from, after, rows)


def _delete_tasks(batch_id: int, run: int, connection: Connection, after: int, rows: int) -> Slice:
    return erasure.delete_slice(connection, batch_id, run, after, rows)


def _numbered(table: Any, batch_id: int) -> Part:
    """Make the part that deletes the rows of a batch in the order of their numbers."""
    following = (
        select(table.c.number)
        .where(table.c.batch_id == batch_id, table.c.number > bindparam("after"))
        .order_by(table.c.number)
        .limit(bindparam("rows"))
        .subquery()
    )
    last = select(func.count(), func.max(following.c.number))
    gone = delete(table).where(
        table.c.batch_id == batch_id, table.c.number > bindparam("after"), table.c.number <= bindparam("last")
    )

    def part(connection: Connection, after: int, rows: int) -> Slice:
        found: Any = connection.execute(last, {"after": after, "rows": rows}).one()
        amount, number = found
        if amount:
            connection.execute(gone, {"after": after, "last": number})
        return Slice(amount, number or after)

    return part


def _delete_found(batch_id: int, connection: Connection, after: int, rows: int) -> Slice:
    """Delete documents that were found in folders: they have no numbers."""
    found = select(Document.id).where(Document.batch_id == batch_id, Document.number.is_(None)).limit(rows)
    ids = connection.execute(found).scalars().all()
    documents = db.table_of(Document)
    if ids:
        connection.execute(delete(documents).where(documents.c.id.in_(ids)))
    return Slice(len(ids), after)


def _delete_files(batch_id: int, before_run: int, connection: Connection, after: int, _: int) -> Slice:
    """Delete the output and error files of runs; app.services.file.purge then deletes their bytes."""
    return Slice(files.delete_of_batch(connection, batch_id, before_run), after)


def _forget_caller(batch_id: int, connection: Connection, after: int, _: int) -> Slice:
    """Remove what a caller of /v1/batches wrote, and what was quoted of its file."""
    rows = db.table_of(FileBatch)
    mine = update(rows).where(
        rows.c.batch_id == batch_id, or_(rows.c.metadata.is_not(null()), rows.c.errors.is_not(null()))
    )
    return Slice(connection.execute(mine.values(metadata=null(), errors=null())).rowcount, after)


def _delete_samples(batch_id: int, connection: Connection, after: int, _: int) -> Slice:
    """Delete all samples at once: a run has few."""
    samples = db.table_of(ProgressSample)
    return Slice(connection.execute(delete(samples).where(samples.c.batch_id == batch_id)).rowcount, after)
