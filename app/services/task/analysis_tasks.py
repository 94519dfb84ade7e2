"""The write of a run's analysis tasks: QUEUED, or COMPLETED at once where an earlier run has the answer."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, bindparam, text

from app import db
from app.domain.leases import TaskKind, TaskStatus
from app.services.task import earlier_answers
from app.services.task.earlier_answers import Earlier, NewRun, NewTask
from app.services.task.task_counts import CountChanges

ROWS = 5_000  # that one statement writes: what is in memory at once

_GIVEN = {
    "content_key": "text", "document_id": "bigint", "staging_task_id": "bigint", "prompt_number": "int",
    "model_number": "int", "ready_number": "int",
}  # fmt: skip
_FOUND = {"reused_from": "bigint", "task_id": "bigint", "late_id": "bigint"}
_ARRAYS = {**_GIVEN, **_FOUND}
# The answers themselves never leave the database.
_INSERT = f"""
INSERT INTO tasks (
    batch_id, run, kind, status, attempt, critical, past_leases, input_tokens, output_tokens, cost_nanos, available_at,
    {", ".join(_GIVEN)}, reused_from, finished_at, result)
SELECT :batch_id, :run, '{TaskKind.ANALYZE}',
    CASE WHEN {{v}}reused_from IS NULL THEN '{TaskStatus.QUEUED}' ELSE '{TaskStatus.COMPLETED}' END,
    0, false, '', 0, 0, 0, :now,
    {", ".join(f"{{v}}{name}" for name in _GIVEN)}, {{v}}reused_from,
    CASE WHEN {{v}}reused_from IS NOT NULL THEN :now END,
    coalesce((SELECT result FROM tasks WHERE id = {{v}}task_id),
             (SELECT result FROM late_results WHERE id = {{v}}late_id))
"""
_now = bindparam("now", type_=db.UtcTime)
_UNNESTED = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _ARRAYS.items())
_POSTGRESQL = text(_INSERT.format(v="w.") + f" FROM unnest({_UNNESTED}) AS w({', '.join(_ARRAYS)})").bindparams(_now)
_SQLITE = text(_INSERT.format(v=":")).bindparams(_now)
_NONE = Earlier()


def write(connection: Connection, run: NewRun, asked: Iterable[NewTask], changes: CountChanges, now: datetime) -> None:
    """Write the tasks of a run, in order, and count them."""
    left = iter(asked)
    while chunk := list(islice(left, ROWS)):
        found = earlier_answers.find(connection, run, chunk)
        rows = [{**task._asdict(), **(earlier or _NONE)._asdict()} for task, earlier in zip(chunk, found, strict=True)]
        same = {"batch_id": run.batch_id, "run": run.run, "now": now}
        if db.is_postgresql(connection):
            connection.execute(_POSTGRESQL, {**same, **{name: [row[name] for row in rows] for name in _ARRAYS}})
        else:
            connection.execute(_SQLITE, [{**same, **row} for row in rows])
        reused = sum(earlier is not None for earlier in found)
        for status, amount in ((TaskStatus.COMPLETED, reused), (TaskStatus.QUEUED, len(chunk) - reused)):
            changes.add((run.batch_id, run.run, TaskKind.ANALYZE), status, amount)
