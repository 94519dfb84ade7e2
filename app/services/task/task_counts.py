"""The counters from which progress is read, changed with every task's status in the same transaction.

Each server connection has a shard of its own, so that two reporters never wait for one row; the sum over the shards is
exact at every commit. Knows no rule of tasks.
"""

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextClause, bindparam, text

from app import db
from app.domain.leases import TaskKind, TaskStatus
from app.domain.usage import MOST_COUNTED, CallUsage
from app.prepared_statements import Prepared

SHARDS = 64
Run = tuple[int, int, str]  # batch id, run, kind of task

_ADDED = (
    "queued", "leased", "completed", "failed", "critical", "skipped", "found", "truncated", "unpriced",
    "input_tokens", "output_tokens", "cost_nanos",
)  # fmt: skip


def bounded_sum(table: str, name: str) -> str:
    """Write in SQL what a counter is after an addition: it stops at MOST_COUNTED and never overflows."""
    old, added = f"{table}.{name}", f"excluded.{name}"
    return f"CASE WHEN {old} > {MOST_COUNTED} - {added} THEN {MOST_COUNTED} ELSE {old} + {added} END"


def adding_one(values: str) -> str:
    """Write in SQL how a row is added: `values` gives the parameters of TYPES, and the shard."""
    return f"""
        INSERT INTO task_counts AS c (batch_id, run, kind, {", ".join(_ADDED)}, touched_at, shard) {values}
        ON CONFLICT (batch_id, run, kind, shard) DO UPDATE SET
            {", ".join(f"{name} = {bounded_sum('c', name)}" for name in _ADDED)}, touched_at = excluded.touched_at
    """


def _add_to(shard: str) -> TextClause:
    values = ", ".join([*(f":{name}" for name in TYPES), shard])
    return text(adding_one(f"VALUES ({values})")).bindparams(bindparam("now", type_=db.UtcTime))


SHARD = f"pg_backend_pid() % {SHARDS}"  # on PostgreSQL
TYPES = {"batch_id": "bigint", "run": "int", "kind": "text", **dict.fromkeys(_ADDED, "bigint"), "now": "timestamptz"}
_ADD_POSTGRESQL = Prepared("add_counts", _add_to(SHARD), later=True)
_ADD_SQLITE = _add_to("0")
_ZERO = dict.fromkeys(_ADDED, 0)
_COLUMN = {status: status.lower() for status in TaskStatus}


class CountChanges:
    """What one transaction adds to the counts; `write` adds it in the database."""

    def __init__(self) -> None:
        self._changes: defaultdict[Run, Counter[str]] = defaultdict(Counter)
        self._calls: defaultdict[Run, list[CallUsage]] = defaultdict(list)

    def add(self, run: Run, status: TaskStatus, amount: int = 1) -> None:
        """Count `amount` new tasks in `status`."""
        self._changes[run][_COLUMN[status]] += amount

    def move(self, run: Run, old: TaskStatus, new: TaskStatus, amount: int = 1) -> None:
        """Count `amount` tasks that went from status `old` to `new`."""
        change = self._changes[run]
        change[_COLUMN[old]] -= amount
        change[_COLUMN[new]] += amount

    def spend(self, run: Run, usage: CallUsage) -> None:
        """Count what a call used."""
        if usage.input_tokens or usage.output_tokens or usage.cost_nanos or usage.unpriced:
            self._calls[run].append(usage)

    def note(self, run: Run, **amounts: int) -> None:
        """Count what is counted beside the statuses: `critical`, `skipped`, `found`, `truncated`."""
        for name, amount in amounts.items():
            if amount:
                self._changes[run][name] += amount

    def rows(self, now: datetime) -> list[dict[str, Any]]:
        """Make the rows to add, in the order of the keys: two writers cannot deadlock."""
        rows = []
        for run in sorted(self._changes.keys() | self._calls.keys()):
            used = CallUsage.total(self._calls[run])
            change = {**_ZERO, **self._changes[run], **used.amounts, "unpriced": used.unpriced}
            rows.append({**change, "batch_id": run[0], "run": run[1], "kind": run[2], "now": now})
        return rows

    def write(self, connection: Connection, now: datetime) -> None:
        """Add the changes to the database's counts."""
        for row in self.rows(now):
            if db.is_postgresql(connection):
                _ADD_POSTGRESQL.rows(connection, **row)
            else:
                connection.execute(_ADD_SQLITE, row)


_SUMS = ", ".join(f"CAST(sum({column}) AS bigint) AS {column}" for column in _COLUMN.values())
_OF_RUN = text(f"SELECT kind, {_SUMS} FROM task_counts WHERE batch_id = :batch_id AND run = :run GROUP BY kind")


def counts_of(connection: Connection, batch_id: int, run: int) -> dict[str, dict[str, int]]:
    """Read how many tasks of any run are in each status, by kind."""
    rows = connection.execute(_OF_RUN, {"batch_id": batch_id, "run": run})
    counted = {row.kind: row._mapping for row in rows}
    return {
        str(kind): {str(status): counted[kind][column] if kind in counted else 0 for status, column in _COLUMN.items()}
        for kind in TaskKind
    }
