"""Finds the answers that earlier runs of a batch have to the questions of a new run, by content key.

An answer is the result of a COMPLETED task, or else one that came too late to count. The newest of several is taken.
An answer that was cut off is not used, nor one to a document that was cut unless the batch still cuts documents.
A run that repeats certain causes of failures keeps the other failures.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, TextClause, text

from app import db
from app.domain.documents import OnTooLong
from app.domain.leases import Outcome, TaskStatus
from app.domain.reuse import Redo
from app.models import in_key_index
from app.services.task import failed_causes

Place = tuple[int | None, ...]
Question = tuple[str, Place]  # a content key, and the place of the task in the batch


class NewRun(NamedTuple):
    """The run whose tasks are written, and which questions it puts again though they have answers."""

    batch_id: int
    run: int
    redo: Redo | None
    on_too_long: str = OnTooLong.FAIL


class NewTask(NamedTuple):
    """An analysis task to be written."""

    content_key: str
    redo: bool = False  # done again; if the run's redo names statuses, only where the latest run had one of them
    document_id: int | None = None
    staging_task_id: int | None = None
    prompt_number: int | None = None
    model_number: int | None = None
    ready_number: int | None = None
    target: int = 0
    part: int = 0
    parts: int = 0

    @property
    def question(self) -> Question:
        """The content key, and the place in the batch, which is the same in every run."""
        place = (self.ready_number or self.document_id, self.prompt_number, self.model_number, self.part)
        return self.content_key, place


class Earlier(NamedTuple):
    """Where an answer is kept: with a task, or as a late result; or the failed task whose failure is kept."""

    reused_from: int | None = None  # the task for which a worker gave it
    task_id: int | None = None
    late_id: int | None = None
    failed_id: int | None = None


_PLACE = "coalesce(t.ready_number, t.document_id), t.prompt_number, t.model_number, t.part"
_LATE = f"""JOIN late_results l ON l.task_id = t.id AND l.outcome = '{Outcome.COMPLETED}'
            AND NOT l.truncated AND (:with_cut OR NOT l.document_cut)"""
_IN_INDEX = in_key_index("t")  # SQLite uses a partial index only for statements that contain its condition


@dataclass(frozen=True)
class _Statements:
    """The statements of one database. Those that find answers have an alternative for answers that came too late."""

    own: tuple[TextClause, TextClause]  # the answer of the same place in the batch
    any: tuple[TextClause, TextClause]  # the answer of any place with the same content key
    endings: TextClause  # how the task of each place ended, run by run


def _statements(keys: str, tasks: str, inputs: str) -> _Statements:
    """Make the statements of a database: `keys` is a table of content keys, `w`; `tasks` is those tasks, `t`.

    A run finds none of its own answers: while its tasks are written, those that are COMPLETED are copies.
    """
    is_place = f"coalesce(t.ready_number, t.document_id) {inputs}"
    own = f"""
        SELECT t.content_key, {_PLACE}, coalesce(t.reused_from, t.id), t.id, NULL
        FROM {tasks} WHERE {is_place} AND t.status = '{TaskStatus.COMPLETED}'
            AND NOT t.truncated AND (:with_cut OR NOT t.document_cut) ORDER BY t.id
    """
    own_late = f"""
        SELECT t.content_key, {_PLACE}, t.id, NULL, max(l.id)
        FROM {tasks} {_LATE} WHERE {is_place} AND t.has_late_answer
        GROUP BY t.content_key, {_PLACE}, t.id ORDER BY t.id
    """
    any_place = f"""
        SELECT w.key, coalesce(a.reused_from, a.id), a.id, NULL
        FROM {keys} JOIN tasks a ON a.id = (
            SELECT t.id FROM tasks t
            WHERE t.batch_id = :batch_id AND t.content_key = w.key AND {_IN_INDEX}
                AND t.status = '{TaskStatus.COMPLETED}' AND NOT t.truncated AND (:with_cut OR NOT t.document_cut)
            ORDER BY t.id DESC LIMIT 1)
    """
    any_late = f"""
        SELECT w.key, a.task_id, NULL, a.id
        FROM {keys} JOIN late_results a ON a.id = (
            SELECT max(l.id) FROM tasks t {_LATE}
            WHERE t.batch_id = :batch_id AND t.content_key = w.key AND {_IN_INDEX} AND t.has_late_answer)
    """
    endings = f"""
        SELECT t.content_key, {_PLACE}, t.status, coalesce(t.reused_from, t.id) AS reused_from, t.id
        FROM {tasks} WHERE {is_place} AND t.run < :run ORDER BY t.id
    """
    return _Statements((text(own), text(own_late)), (text(any_place), text(any_late)), text(endings))


_POSTGRESQL = _statements(
    keys="unnest(CAST(:keys AS text[])) AS w(key)",
    # OFFSET 0 keeps the subquery apart, so that the index is used key by key, whatever the statistics are of a batch
    # that was just written.
    tasks=f"""unnest(CAST(:keys AS text[])) AS w(key) CROSS JOIN LATERAL (
        SELECT * FROM tasks WHERE batch_id = :batch_id AND content_key = w.key AND {in_key_index()} OFFSET 0) AS t""",
    inputs="= ANY(CAST(:inputs AS bigint[]))",
)
_SQLITE = _statements(
    keys="(SELECT value AS key FROM json_each(:keys)) AS w",
    tasks=f"""(SELECT value AS key FROM json_each(:keys)) AS w
        CROSS JOIN tasks AS t INDEXED BY ix_tasks_content_key
        ON t.batch_id = :batch_id AND t.content_key = w.key AND {_IN_INDEX}""",
    inputs="IN (SELECT value FROM json_each(:inputs))",
)


def has_none(run: NewRun) -> bool:
    """Whether there is no earlier run whose answers could be reused."""
    return run.run == 1


def find(connection: Connection, run: NewRun, new_tasks: Sequence[NewTask]) -> list[Earlier | None]:
    """Find for each task of a run the answer to reuse; None where there is none, or where the task is done again.

    A task whose question another task has too takes its own earlier answer first. If the run repeats certain causes, a
    task without an answer that failed for another cause keeps its failure.
    """
    if has_none(run):
        return [None] * len(new_tasks)
    statements = _POSTGRESQL if db.is_postgresql(connection) else _SQLITE
    latest = _latest(connection, statements, run, new_tasks)
    failed = [row.id for row in latest.values() if row.status == TaskStatus.FAILED]
    causes = failed_causes.causes_of(connection, failed) if run.redo and run.redo.causes is not None else {}
    again = [task.redo and _is_named(run.redo, latest.get(task.question), causes) for task in new_tasks]
    failures = _kept_failures(run.redo, latest)
    wanted = {task.question for task, is_again in zip(new_tasks, again, strict=True) if not is_again}
    own: dict[Question, Earlier] = {}
    for statement in statements.own:
        rows = _look(connection, statement, run, wanted - own.keys())
        own |= {(row[0], tuple(row[1:5])): Earlier(*row[5:]) for row in rows}
    others: dict[str, Earlier] = {}
    for statement in statements.any:
        missing = {question for question in wanted - own.keys() if question[0] not in others}
        others |= {row[0]: Earlier(*row[1:]) for row in _look(connection, statement, run, missing)}
    return [
        None if is_again else own.get(task.question) or others.get(task.content_key) or failures.get(task.question)
        for task, is_again in zip(new_tasks, again, strict=True)
    ]


def _latest(
    connection: Connection, statements: _Statements, run: NewRun, new_tasks: Sequence[NewTask]
) -> dict[Question, Any]:
    """Read how each task ended in the latest run, if the run's redo names statuses or causes."""
    if run.redo is None or (run.redo.status is None and run.redo.causes is None):
        return {}
    wanted = {task.question for task in new_tasks if task.redo or run.redo.causes is not None}
    return {(row[0], tuple(row[1:5])): row for row in _look(connection, statements.endings, run, wanted)}


def _is_named(redo: Redo | None, ended: Any, causes: Mapping[int, str]) -> bool:
    """Whether a redo names the way in which a task ended in the latest run (None: it had no such task)."""
    if redo is None or (redo.status is None and redo.causes is None):
        return True
    if ended is None or (redo.status is not None and ended.status not in redo.status):
        return False
    return redo.causes is None or causes.get(ended.id) in redo.causes


def _kept_failures(redo: Redo | None, latest: dict[Question, Any]) -> dict[Question, Earlier]:
    if redo is None or redo.causes is None:
        return {}
    failed = {question: row for question, row in latest.items() if row.status == TaskStatus.FAILED}
    return {question: Earlier(row.reused_from, failed_id=row.id) for question, row in failed.items()}


def _look(connection: Connection, statement: TextClause, run: NewRun, questions: Collection[Question]) -> Any:
    if not questions:
        return []
    lists = {"keys": [*{key for key, _ in questions}], "inputs": [*{place[0] for _, place in questions}]}
    values = lists if db.is_postgresql(connection) else {name: orjson.dumps(v).decode() for name, v in lists.items()}
    with_cut = run.on_too_long == OnTooLong.TRUNCATE
    return connection.execute(statement, {**values, "batch_id": run.batch_id, "run": run.run, "with_cut": with_cut})
