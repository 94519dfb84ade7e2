"""Erases the content of tasks, and deletes tasks: the only module that takes an answer away.

A task that is erased keeps its status, its usage and its count. It has no result and no content key, so no new run
reuses its answer, and no attempts; its late results keep only what they used.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    literal_column,
    not_,
    or_,
    select,
    text,
    update,
)

from app import db
from app.domain.leases import ERASED, OPEN, Outcome, TaskKind, TaskStatus
from app.domain.task_endings import LeaseEvent
from app.models import LateResult, Task, in_key_index
from app.services.task import task_rows
from app.services.task.endings import Endings

OF_DOCUMENT = {"code": ERASED, "message": "The document was erased on request."}
OF_RUN = {"code": ERASED, "message": "The answers of this run were erased: the batch keeps those of newer runs."}
OF_FOLDER = "The message was erased with a document of the folder."
_AT_ONCE = 1_000  # ids in one statement

_tasks = db.table_of(Task)
_late = db.table_of(LateResult)
_of_run = (_tasks.c.batch_id == bindparam("of_batch"), _tasks.c.run == bindparam("of_run"))
_in_slice = (*_of_run, _tasks.c.id > bindparam("after"), _tasks.c.id <= bindparam("last"))
# FOR UPDATE: a report that holds one of these tasks is committed first, and its late result is found below.
_SLICE = (
    select(_tasks.c.id)
    .where(*_of_run, _tasks.c.id > bindparam("after"))
    .order_by(_tasks.c.id)
    .limit(bindparam("rows"))
    .with_for_update()
)
_DELETE_LATE = delete(_late).where(_late.c.task_id.in_(select(_tasks.c.id).where(*_in_slice)))
_DELETE = delete(_tasks).where(*_in_slice)
_NO_CONTENT: dict[str, Any] = {"result": None, "erased": True, "content_key": None, "ended_attempts": ""}


class Slice(NamedTuple):
    """What one transaction did: how many tasks, and the id of the last one; none are left after an amount of 0."""

    amount: int
    last: int


def delete_slice(connection: Connection, batch_id: int, run: int, after: int, rows: int) -> Slice:
    """Delete the next tasks of a run after an id, up to `rows`, with their late results."""
    found, values = _next(connection, batch_id, run, after, rows)
    if found.amount:
        connection.execute(_DELETE_LATE, values)
        connection.execute(_DELETE, values)
    return found


def erase_slice(connection: Connection, batch_id: int, run: int, kept_from: int, after: int, rows: int) -> Slice:
    """Erase the next tasks of a run after an id, up to `rows`; the runs from `kept_from` on keep their content.

    An answer stays if a kept run has its question and no answer to it: a new run would reuse this one.
    """
    found, values = _next(connection, batch_id, run, after, rows)
    if found.amount:
        connection.execute(_ERASE_OLD, {**values, "kept_from": kept_from})
        connection.execute(_ERASE_LATE, values)
    return found


def _next(connection: Connection, batch_id: int, run: int, after: int, rows: int) -> tuple[Slice, dict[str, Any]]:
    values = {"of_batch": batch_id, "of_run": run, "after": after}
    ids: Sequence[int] = connection.execute(_SLICE, {**values, "rows": rows}).scalars().all()
    last = ids[-1] if ids else after
    return Slice(len(ids), last), {**values, "last": last}


def _is_wanted() -> ColumnElement[bool]:
    """Whether a new run would reuse the answer of a task, since no run that is kept has an answer to its question."""
    kept, late = _tasks.alias("kept"), _late.alias("late")
    asked = and_(
        kept.c.batch_id == _tasks.c.batch_id,
        kept.c.content_key == _tasks.c.content_key,
        text(in_key_index("kept")),
        kept.c.run + literal_column("0") >= bindparam("kept_from"),  # so SQLite does not read all kept runs by it
    )
    is_late_answer = and_(late.c.task_id == _tasks.c.id, late.c.outcome == Outcome.COMPLETED, not_(late.c.truncated))
    is_answer = or_(
        and_(_tasks.c.status == TaskStatus.COMPLETED, not_(_tasks.c.truncated)), exists().where(is_late_answer)
    )
    answered = exists().where(asked, kept.c.status == TaskStatus.COMPLETED, not_(kept.c.truncated))
    return and_(is_answer, exists().where(asked), not_(answered))


_ERASE_OLD = update(_tasks).where(*_in_slice, not_(_tasks.c.erased), not_(_is_wanted()))
_ERASE_OLD = _ERASE_OLD.values({**_NO_CONTENT, "error": OF_RUN})
_ERASE_LATE = (
    update(_late)
    .where(_late.c.task_id.in_(select(_tasks.c.id).where(*_in_slice, _tasks.c.erased)))
    .values(result=None, error=None)
)


# --- the tasks of documents

_ids = bindparam("ids", expanding=True, type_=BigInteger)
_documents = bindparam("documents", expanding=True, type_=BigInteger)
_TASK = select(_tasks.c.id, _tasks.c.run, _tasks.c.status, _tasks.c.content_key)
_STAGING = _TASK.where(
    _tasks.c.batch_id == bindparam("of_batch"),
    _tasks.c.document_id.in_(_documents),
    _tasks.c.kind == literal_column(f"'{TaskKind.STAGE}'"),  # a literal: the condition of a partial index
)
_ANALYSIS = _TASK.where(*_of_run, _tasks.c.document_id.in_(_documents), _tasks.c.prompt_number.is_not(None))
_COPIES = select(_tasks.c.id, _tasks.c.reused_from).where(
    _tasks.c.batch_id == bindparam("of_batch"),
    _tasks.c.content_key.in_(bindparam("keys", expanding=True)),
    text(in_key_index("tasks")),
)
_ERASE = update(_tasks).where(_tasks.c.id.in_(_ids)).values({**_NO_CONTENT, "error": OF_DOCUMENT})
_CONTENTS = select(_tasks.c.id, _tasks.c.result, _tasks.c.error).where(_tasks.c.id.in_(_ids))
_SET_CONTENT = (
    update(_tasks)
    .where(_tasks.c.id == bindparam("of_task"))
    .values(result=bindparam("new_result"), error=bindparam("new_error"))
)
_ERASE_LATE_OF = update(_late).where(_late.c.task_id.in_(_ids)).values(result=None, error=None)


def erase_documents(
    connection: Connection, batch_id: int, run: int, documents: Collection[int], endings: Endings
) -> int:
    """Erase the tasks of documents up to the present `run`, and the answers that other tasks reused from them.

    The open tasks of a run that goes on end in `endings`: a lease under way is over. The batch is locked. Returns how
    many tasks were erased.
    """
    values = {"of_batch": batch_id, "documents": sorted(documents)}
    tasks = list(connection.execute(_STAGING, values))
    for each in range(1, run + 1):  # run by run, as the index has them
        tasks += connection.execute(_ANALYSIS, {**values, "of_run": each})
    own = {task.id for task in tasks}
    _end_open(connection, [task.id for task in tasks if task.run == run and task.status in OPEN], endings)
    ids = sorted(own | _copies(connection, batch_id, own, {task.content_key for task in tasks}))
    for chunk in _chunks(ids):
        connection.execute(_ERASE, {"ids": chunk})
        connection.execute(_ERASE_LATE_OF, {"ids": chunk})
    return len(ids)


def _copies(connection: Connection, batch_id: int, own: Set[int], keys: Set[str | None]) -> set[int]:
    """Find the tasks that reused an answer from the tasks `own`: they have the same content key."""
    found: set[int] = set()
    for chunk in _chunks(sorted(key for key in keys if key)):
        rows = connection.execute(_COPIES, {"of_batch": batch_id, "keys": chunk})
        found |= {row.id for row in rows if row.reused_from in own}
    return found


def forget_file(connection: Connection, batch_id: int, folders: Collection[int], sha256: str, names: Set[str]) -> None:
    """Remove a file from what was reported of the folders in which it was found: results, errors, late results."""
    if not folders:
        return
    ids: Sequence[int] = (
        connection.execute(_STAGING, {"of_batch": batch_id, "documents": sorted(folders)}).scalars().all()
    )
    for row in connection.execute(_CONTENTS, {"ids": ids}).all():
        result = row.result and _without_file(row.result, sha256, names)
        error = row.error and {"code": row.error.get("code"), "message": OF_FOLDER}
        connection.execute(_SET_CONTENT, {"of_task": row.id, "new_result": result, "new_error": error})
    connection.execute(_ERASE_LATE_OF, {"ids": ids})


def _without_file(result: Mapping[str, Any], sha256: str, names: Set[str]) -> dict[str, Any]:
    kept = {
        "documents": [each for each in result.get("documents", ()) if each.get("sha256") != sha256],
        "duplicates": [each for each in result.get("duplicates", ()) if names.isdisjoint(each.values())],
    }
    return {**result, **kept}


def _end_open(connection: Connection, ids: Iterable[int], endings: Endings) -> None:
    held, _ = task_rows.hold(connection, ids)
    for task in held.values():
        if task.status in OPEN and task.may_still_count:
            endings.end(task, LeaseEvent.ERASED)
    endings.write(connection)


def _chunks(values: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), _AT_ONCE):
        yield list(values[start : start + _AT_ONCE])
