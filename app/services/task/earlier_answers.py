"""Answers that earlier runs of a batch have to what a new run asks, found by content key.

An answer is the result of a COMPLETED task, or else one that came too late to count. Of several the newest is taken.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, TextClause, text

from app import db
from app.domain.leases import Outcome, TaskStatus
from app.domain.reuse import Redo

Place = tuple[int | None, ...]
Question = tuple[str, Place]  # a content key, and which of the batch's tasks asks it


class NewRun(NamedTuple):
    """The run whose tasks are written, and what it does again."""

    batch_id: int
    run: int
    redo: Redo | None


class NewTask(NamedTuple):
    """An analysis task that is to be written."""

    content_key: str
    redo: bool = False  # whether the run does it again; where it names statuses, if it had one of them
    document_id: int | None = None
    staging_task_id: int | None = None
    prompt_number: int | None = None
    model_number: int | None = None
    ready_number: int | None = None

    @property
    def question(self) -> Question:
        """What it asks, and which of the batch's tasks it is, whatever the run."""
        return self.content_key, (self.ready_number or self.document_id, self.prompt_number, self.model_number)


class Earlier(NamedTuple):
    """Where an answer is kept, and the task to which it was given."""

    reused_from: int | None = None
    task_id: int | None = None
    late_id: int | None = None


# A run finds none of its own: while its tasks are written, those of them that are COMPLETED are copies.
_PLACE = "coalesce(t.ready_number, t.document_id), t.prompt_number, t.model_number"
_SAME_PLACE = "coalesce(t.ready_number, t.document_id) {in_inputs}"
_LATE = f"JOIN late_results l ON l.task_id = t.id AND l.outcome = '{Outcome.COMPLETED}'"
_OWN = f"""
SELECT t.content_key, {_PLACE}, coalesce(t.reused_from, t.id), t.id, NULL
FROM {{tasks}} WHERE {_SAME_PLACE} AND t.status = '{TaskStatus.COMPLETED}' ORDER BY t.id
"""
_OWN_LATE = f"""
SELECT t.content_key, {_PLACE}, t.id, NULL, max(l.id)
FROM {{tasks}} {_LATE} WHERE {_SAME_PLACE}
GROUP BY t.content_key, {_PLACE}, t.id ORDER BY t.id
"""
_ANY = f"""
SELECT w.key, coalesce(a.reused_from, a.id), a.id, NULL
FROM {{keys}} JOIN tasks a ON a.id = (
    SELECT t.id FROM tasks t
    WHERE t.batch_id = :batch_id AND t.content_key = w.key AND t.status = '{TaskStatus.COMPLETED}'
    ORDER BY t.id DESC LIMIT 1)
"""
_ANY_LATE = f"""
SELECT w.key, a.task_id, NULL, a.id
FROM {{keys}} JOIN late_results a ON a.id = (
    SELECT max(l.id) FROM tasks t {_LATE} WHERE t.batch_id = :batch_id AND t.content_key = w.key)
"""
_STATUSES = (
    f"SELECT t.content_key, {_PLACE}, t.status FROM {{tasks}} WHERE {_SAME_PLACE} AND t.run < :run ORDER BY t.id"
)
_POSTGRESQL = {
    "keys": "unnest(CAST(:keys AS text[])) AS w(key)",
    # Fenced, so that the index is asked key by key, whatever the statistics say of a batch that is just written.
    "tasks": """unnest(CAST(:keys AS text[])) AS w(key) CROSS JOIN LATERAL (
        SELECT * FROM tasks WHERE batch_id = :batch_id AND content_key = w.key OFFSET 0) AS t""",
    "in_inputs": "= ANY(CAST(:inputs AS bigint[]))",
}
_SQLITE = {
    "keys": "(SELECT value AS key FROM json_each(:keys)) AS w",
    "tasks": """(SELECT value AS key FROM json_each(:keys)) AS w
        CROSS JOIN tasks t ON t.batch_id = :batch_id AND t.content_key = w.key""",
    "in_inputs": "IN (SELECT value FROM json_each(:inputs))",
}


def _on_both(statement: str) -> dict[bool, TextClause]:
    return {True: text(statement.format(**_POSTGRESQL)), False: text(statement.format(**_SQLITE))}


_FIND_OWN = (_on_both(_OWN), _on_both(_OWN_LATE))
_FIND_ANY = (_on_both(_ANY), _on_both(_ANY_LATE))
_FIND_STATUSES = _on_both(_STATUSES)


def find(connection: Connection, run: NewRun, asked: Sequence[NewTask]) -> list[Earlier | None]:
    """Find for each task of a run the answer that will do; None for what has none, or is done again.

    A task that asks the same as another keeps to its own answer, if it has one.
    """
    if run.run == 1:
        return [None] * len(asked)
    again = _again(connection, run, asked)
    wanted = {task.question for task, is_again in zip(asked, again, strict=True) if not is_again}
    own: dict[Question, Earlier] = {}
    for statement in _FIND_OWN:
        rows = _look(connection, statement, run, wanted - own.keys())
        own |= {(row[0], tuple(row[1:4])): Earlier(*row[4:]) for row in rows}
    others: dict[str, Earlier] = {}
    for statement in _FIND_ANY:
        missing = {question for question in wanted - own.keys() if question[0] not in others}
        others |= {row[0]: Earlier(*row[1:]) for row in _look(connection, statement, run, missing)}
    return [
        None if is_again else own.get(task.question) or others.get(task.content_key)
        for task, is_again in zip(asked, again, strict=True)
    ]


def _again(connection: Connection, run: NewRun, asked: Sequence[NewTask]) -> list[bool]:
    status = run.redo.status if run.redo else None
    if status is None:
        return [task.redo for task in asked]
    rows = _look(connection, _FIND_STATUSES, run, {task.question for task in asked if task.redo})
    latest = {(row[0], tuple(row[1:4])): row[4] for row in rows}
    return [task.redo and latest.get(task.question) in status for task in asked]


def _look(connection: Connection, statement: dict[bool, TextClause], run: NewRun, asked: Collection[Question]) -> Any:
    if not asked:
        return []
    lists = {"keys": [*{key for key, _ in asked}], "inputs": [*{place[0] for _, place in asked}]}
    on_postgresql = db.is_postgresql(connection)
    given = lists if on_postgresql else {name: orjson.dumps(each).decode() for name, each in lists.items()}
    return connection.execute(statement[on_postgresql], {**given, "batch_id": run.batch_id, "run": run.run})
