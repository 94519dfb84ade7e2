"""Writes a run's analysis tasks: QUEUED, or at once as in an earlier run whose answer or failure is kept."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, bindparam, text

from app import db
from app.array_texts import array_text
from app.domain.leases import TaskKind, TaskStatus
from app.services.task import earlier_answers
from app.services.task.earlier_answers import Earlier, NewRun, NewTask
from app.services.task.task_counts import CountChanges

ROWS = 5_000  # written by one statement, and at most in memory at once

_QUESTION = {
    "content_key": "text", "document_id": "bigint", "staging_task_id": "bigint", "prompt_number": "int",
    "model_number": "int", "ready_number": "int", "target": "int",
    "part": "int", "parts": "int",
}  # fmt: skip
_FOUND = {"reused_from": "bigint", "task_id": "bigint", "late_id": "bigint", "failed_id": "bigint"}
_VALUES = {**_QUESTION, **_FOUND}
# The answers themselves never leave the database.
_INSERT = f"""
INSERT INTO tasks (
    batch_id, run, kind, status, attempt, critical, past_leases, input_tokens, output_tokens, cost_nanos, available_at,
    {", ".join(_QUESTION)}, reused_from, finished_at, result, error, document_cut)
SELECT :batch_id, :run, '{TaskKind.ANALYZE}',
    CASE WHEN w.failed_id IS NOT NULL THEN '{TaskStatus.FAILED}'
        WHEN w.reused_from IS NULL THEN '{TaskStatus.QUEUED}' ELSE '{TaskStatus.COMPLETED}' END,
    0, false, '', 0, 0, 0, :now,
    {", ".join(f"w.{name}" for name in _QUESTION)}, w.reused_from,
    CASE WHEN w.reused_from IS NOT NULL THEN :now END,
    coalesce((SELECT result FROM tasks WHERE id = w.task_id), (SELECT result FROM late_results WHERE id = w.late_id)),
    (SELECT error FROM tasks WHERE id = w.failed_id),
    coalesce((SELECT document_cut FROM tasks WHERE id = w.task_id),
        (SELECT document_cut FROM late_results WHERE id = w.late_id), false)
"""
_now = bindparam("now", type_=db.UtcTime)
_POSTGRESQL = text(f"""
{_INSERT}
FROM unnest({", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _VALUES.items())}) AS w({", ".join(_VALUES)})
""").bindparams(_now)
_SQLITE = text(f"{_INSERT} FROM (SELECT {', '.join(f':{name} AS {name}' for name in _VALUES)}) AS w").bindparams(_now)
_NO_ANSWER = Earlier()


def write(
    connection: Connection, run: NewRun, new_tasks: Iterable[NewTask], counts: CountChanges, now: datetime
) -> None:
    """Write the tasks of a run, in order, and count them."""
    left = iter(new_tasks)
    while chunk := list(islice(left, ROWS)):
        found = earlier_answers.find(connection, run, chunk)
        rows = [
            {**task._asdict(), **(earlier or _NO_ANSWER)._asdict()} for task, earlier in zip(chunk, found, strict=True)
        ]
        same = {"batch_id": run.batch_id, "run": run.run, "now": now}
        if db.is_postgresql(connection):
            columns = {name: array_text(row[name] for row in rows) for name in _VALUES}
            connection.execute(_POSTGRESQL, {**same, **columns})
        else:
            connection.execute(_SQLITE, [{**same, **row} for row in rows])
        for status, amount in Counter(map(_status, found)).items():
            counts.add((run.batch_id, run.run, TaskKind.ANALYZE), status, amount)


def _status(earlier: Earlier | None) -> TaskStatus:
    if earlier is None:
        return TaskStatus.QUEUED
    return TaskStatus.COMPLETED if earlier.failed_id is None else TaskStatus.FAILED
