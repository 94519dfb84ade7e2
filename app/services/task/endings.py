"""The one writer of what happens to a task after it was leased: its row, its count and its usage change together.

What follows from an event is decided by app.domain.task_endings. Only a lease (app.services.queue.leasing) and the
INSERTs of new tasks write a status beside this module.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, bindparam, text

from app import db, portions
from app.array_texts import array_text
from app.domain.attempts import OUTCOMES, AttemptOutcome, code_of, line_of
from app.domain.leases import TaskKind, TaskStatus
from app.domain.task_endings import LeaseEvent, decide
from app.domain.times import rfc3339
from app.domain.usage import CallUsage
from app.prepared_statements import Prepared
from app.services.task import task_counts, usage_counts
from app.services.task.task_counts import SHARD, CountChanges
from app.services.task.task_rows import HeldTask
from app.services.task.usage_counts import UsageChanges

# A task's new values, and the token and status that the write expects to find: those that are alike for tasks to which
# the same happens, and those of each task, with its content at the end. `Endings.end` makes both in this order.
_ALIKE = {
    "read_status": "text", "status": "text", "critical": "boolean", "lease_expires_at": "timestamptz",
    "lease_outcome": "text", "lease_answer": "text", "finished_at": "timestamptz", "truncated": "boolean",
    "document_cut": "boolean",
}  # fmt: skip
_EACH = {
    "id": "bigint", "read_token": "text", "attempt": "int", "available_at": "timestamptz", "input_tokens": "bigint",
    "output_tokens": "bigint", "cost_nanos": "bigint", "unpriced": "int", "latency_ms": "int", "ended_attempt": "text",
    "result": "json", "error": "json",
}  # fmt: skip
_VALUES = _ALIKE | _EACH
_CONTENT = ("result", "error")
LONG_TEXT = 4_096  # characters, on average
_SET = f"""
    status = w.status, attempt = w.attempt, critical = w.critical,
    available_at = coalesce(w.available_at, tasks.available_at), lease_expires_at = w.lease_expires_at,
    lease_outcome = w.lease_outcome, lease_answer = w.lease_answer, result = w.result, truncated = w.truncated,
    document_cut = w.document_cut,
    error = CASE WHEN w.status = '{TaskStatus.COMPLETED}' THEN NULL ELSE coalesce(w.error, tasks.error) END,
    finished_at = w.finished_at,
    input_tokens = tasks.input_tokens + w.input_tokens, output_tokens = tasks.output_tokens + w.output_tokens,
    cost_nanos = tasks.cost_nanos + w.cost_nanos, unpriced = tasks.unpriced + w.unpriced,
    latency_ms = coalesce(w.latency_ms, tasks.latency_ms), ended_attempts = tasks.ended_attempts || w.ended_attempt
"""
_AS_IT_WAS = "tasks.id = w.id AND tasks.status = w.read_status AND coalesce(tasks.lease_token, '') = w.read_token"
# For tasks to which the same happens. What differs between them are arrays, not one JSON document: it could not hold
# U+0000. As the next one, it goes along with COMMIT: it divides by zero unless each task is as it was read.
_alike = ", ".join(f"CAST(:{name} AS {kind}) AS {name}" for name, kind in _ALIKE.items())
_each = ", ".join(f"CAST(e.{name} AS {kind}) AS {name}" for name, kind in _EACH.items())
_arrays = ", ".join(f"CAST(:{name} AS {'text' if name in _CONTENT else kind}[])" for name, kind in _EACH.items())
_MANY = Prepared(
    "end_tasks",
    text(f"""
    WITH written AS (
        UPDATE tasks SET {_SET} FROM (SELECT {_alike}, {_each} FROM unnest({_arrays}) AS e({", ".join(_EACH)})) AS w
        WHERE {_AS_IT_WAS} RETURNING tasks.id
    )
    SELECT 1 / CAST(count(*) = cardinality(CAST(:id AS bigint[])) AS int) FROM written
"""),
    later=True,
    by_index=True,
)
_COUNTED = {f"counted_{name}": name for name in task_counts.TYPES}
_USED = {f"used_{name}": name for name in usage_counts.COLUMNS}
_counted = ", ".join(f"CAST(:{given} AS {task_counts.TYPES[name]})" for given, name in _COUNTED.items())
_used = ", ".join(f"CAST(:{given} AS bigint)" for given in _USED)
# For one task, as workers report it that have no others to report with it: the task, its count, and the usage if a call
# was made, in this order. It goes along with COMMIT, so nobody counts the rows that it wrote: if the task is not as it
# was read, it divides by zero, and nothing is committed.
_ONE = Prepared(
    "end_task",
    text(f"""
    WITH written AS (
        UPDATE tasks SET {_SET}
        FROM (SELECT {", ".join(f"CAST(:{name} AS {kind}) AS {name}" for name, kind in _VALUES.items())}) AS w
        WHERE {_AS_IT_WAS} RETURNING tasks.id
    ), counted AS (
        {task_counts.adding_one(f"SELECT {_counted}, {SHARD} FROM written")} RETURNING c.batch_id
    ), used AS (
        {usage_counts.adding(f"SELECT {_used}, {SHARD} FROM counted WHERE CAST(:was_called AS boolean)")}
    )
    SELECT 1 / count(*) FROM counted
"""),
    later=True,
    by_index=True,
)
_SQLITE = text(f"""
UPDATE tasks SET {_SET}
FROM (SELECT {", ".join(f":{name} AS {name}" for name in _VALUES)}) AS w
WHERE {_AS_IT_WAS}
""").bindparams(*(bindparam(name, type_=db.UtcTime) for name, kind in _VALUES.items() if kind == "timestamptz"))


class Kept(NamedTuple):
    """What is kept with a task when its lease ends: what the call used, and a result or an error."""

    usage: CallUsage
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    truncated: bool = False  # the result is an answer that was cut off
    document_cut: bool = False  # the result is an answer to the beginning of a document


_NOTHING = Kept(CallUsage())
_Row = tuple[tuple[Any, ...], tuple[Any, ...]]  # the values of _ALIKE and of _EACH


class Endings:
    """What one transaction does to the tasks it holds; `write` writes all of it.

    `counts` is also where the transaction counts the tasks that it inserts.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._at = rfc3339(now)
        self.counts = CountChanges()
        self._usage = UsageChanges()
        self._rows: dict[int, _Row] = {}

    def end(
        self,
        task: HeldTask,
        event: LeaseEvent,
        kept: Kept = _NOTHING,
        retry_after_seconds: float | None = None,
        lease_expires_at: datetime | None = None,
    ) -> TaskStatus:
        """Let `event` happen to a held task whose token counts; return its status, which the task has from now on.

        `lease_expires_at` is the new end of a lease that goes on.
        """
        change = decide(event, task.attempt, task.max_attempts, retry_after_seconds)
        ended_attempt = self._attempt(task, event, kept)
        self.counts.move(task.run_key, task.status, change.status)
        if change.critical or change.skipped or kept.truncated:
            noted = {"critical": change.critical, "skipped": change.skipped, "truncated": kept.truncated}
            self.counts.note(task.run_key, **noted)
        task.status, task.attempt = change.status, change.attempt
        if event is not LeaseEvent.ERASED:  # the last token of a task that is QUEUED may have been used
            task.lease_outcome, task.lease_answer = change.used_for, change.answer
        finished_at = self.now if change.is_finished else None
        available_at = None if change.wait_seconds is None else self.now + timedelta(seconds=change.wait_seconds)
        usage = kept.usage
        alike = (
            task.read_status, change.status, change.critical, lease_expires_at,
            task.lease_outcome, task.lease_answer, finished_at, kept.truncated,
            kept.document_cut,
        )  # fmt: skip
        each = (
            task.id, task.lease_token or "", change.attempt, available_at, usage.input_tokens,
            usage.output_tokens, usage.cost_nanos, usage.unpriced, usage.latency_ms, ended_attempt,
            _json(kept.result), _json(kept.error),
        )  # fmt: skip
        self._rows[task.id] = alike, each
        return change.status

    def _attempt(self, task: HeldTask, event: LeaseEvent, kept: Kept) -> str:
        """Write the line of the attempt that ends with an event; it is empty if none does."""
        if (outcome := OUTCOMES.get(event)) is None:
            return ""
        about = None if outcome is AttemptOutcome.COMPLETED else kept.error or kept.result
        return line_of(task.attempt, self._at, task.leased_by, outcome, code_of(about), kept.usage)

    def spend(self, task: HeldTask, usage: CallUsage, failed: bool) -> None:
        """Count a call that was reported, and what it used, for the task's run."""
        self.counts.spend(task.run_key, usage)
        if task.kind == TaskKind.ANALYZE:
            self._usage.add(task.usage_key, usage, failed)

    def keep(self, task: HeldTask, result: dict[str, Any] | None = None, error: dict[str, Any] | None = None) -> None:
        """Replace the result and error that are kept with a task, after `end`."""
        alike, each = self._rows[task.id]
        self._rows[task.id] = alike, (*each[: -len(_CONTENT)], _json(result), _json(error))

    def write(self, connection: Connection) -> None:
        """Write the counts, the usage and the rows, each in the order of its key: two writers cannot deadlock."""
        if db.is_postgresql(connection) and len(self._rows) == 1:
            counted, used = self.counts.rows(self.now), self._usage.rows()
            if len(counted) == 1 and len(used) <= 1:
                (row,) = self._rows.values()
                _write_one(connection, row, counted[0], *used)
                return
        self.counts.write(connection, self.now)
        self._usage.write(connection)
        _write_rows(connection, [self._rows[task_id] for task_id in sorted(self._rows)])


def _write_one(
    connection: Connection,
    task: _Row,
    counted: dict[str, Any],
    used: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write one task back, as `_write_rows` does, and what it adds to the counts and to the usage."""
    values = {
        **_values(task),
        **{given: counted[name] for given, name in _COUNTED.items()},
        **{given: used.get(name) for given, name in _USED.items()},
    }
    _ONE.rows(connection, **values, was_called=bool(used))


def _write_rows(connection: Connection, rows: Sequence[_Row]) -> None:
    """Write the tasks back, each if it is still as it was read under its lock."""
    if not db.is_postgresql(connection):
        values = list(map(_values, rows))
        written = connection.execute(_SQLITE, values).rowcount if rows else 0  # of all its rows together
        if written != len(rows):
            raise RuntimeError(f"{len(rows) - written} tasks were changed by someone who did not lock them")
        return
    by_alike = defaultdict(list)
    for alike, each in rows:
        by_alike[alike].append(each)
    for alike, of_them in by_alike.items():
        for part in portions.divide(of_them, _size):  # the driver copies its values several times
            columns = zip(_EACH, zip(*part, strict=True), strict=True)
            arrays = {name: _texts(of) if name in _CONTENT else array_text(of) for name, of in columns}
            _MANY.rows(connection, **dict(zip(_ALIKE, alike, strict=True)), **arrays)


def _values(row: _Row) -> dict[str, Any]:
    return dict(zip(_VALUES, chain(*row), strict=True))


def _texts(values: Sequence[str | None]) -> Any:
    """Write texts as an array. Of long ones, the database parses a list in half the time."""
    texts = list(filter(None, values))
    return list(values) if sum(map(len, texts)) > LONG_TEXT * len(texts) else array_text(values)


def _size(each: tuple[Any, ...]) -> int:
    result, error = each[-len(_CONTENT) :]
    return len(result or "") + len(error or "")


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
