"""The counters from which progress is read, changed along with every task's status, in its transaction.

Each server connection has a shard of its own, so that no two reporters wait for one row; the sum is exact at
every commit. Which rule moved a task is none of this module's business.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, TextClause, bindparam, text

from app import db
from app.domain.leases import TaskKind, TaskStatus
from app.domain.usage import Usage

SHARDS = 64
Run = tuple[int, int, str]  # batch id, run, kind of task

_ADDED = (
    "queued", "leased", "completed", "failed", "critical", "skipped", "found",
    "input_tokens", "output_tokens", "cost_nanos",
)  # fmt: skip
_ADD = f"""
INSERT INTO task_counts AS c (batch_id, run, kind, shard, {", ".join(_ADDED)}, touched_at)
VALUES (:batch_id, :run, :kind, {{shard}}, {", ".join(f":{name}" for name in _ADDED)}, :now)
ON CONFLICT (batch_id, run, kind, shard) DO UPDATE SET
    {", ".join(f"{name} = c.{name} + excluded.{name}" for name in _ADDED)}, touched_at = excluded.touched_at
"""


def _statement(shard: str) -> TextClause:
    return text(_ADD.format(shard=shard)).bindparams(bindparam("now", type_=db.UtcTime))


_ADD_POSTGRESQL, _ADD_SQLITE = _statement(f"pg_backend_pid() % {SHARDS}"), _statement("0")
_COLUMN = {status: status.lower() for status in TaskStatus}


class CountChanges:
    """What one transaction does to the counts; `write` adds it to them."""

    def __init__(self) -> None:
        self._changes: dict[Run, Counter[str]] = {}

    def add(self, run: Run, status: TaskStatus, amount: int = 1) -> None:
        """Count `amount` new tasks in `status`."""
        self._changes.setdefault(run, Counter())[_COLUMN[status]] += amount

    def move(self, run: Run, old: str, new: str, critical: bool = False) -> None:
        """Count one task that went from status `old` to `new`."""
        change = self._changes.setdefault(run, Counter())
        change[_COLUMN[TaskStatus(old)]] -= 1
        change[_COLUMN[TaskStatus(new)]] += 1
        change["critical"] += critical

    def spend(self, run: Run, usage: Usage) -> None:
        """Count what a call used."""
        if amounts := {name: amount for name, amount in usage.amounts.items() if amount}:
            self._changes.setdefault(run, Counter()).update(amounts)

    def note(self, run: Run, **amounts: int) -> None:
        """Count what is counted beside the statuses: `skipped`, `found`."""
        self._changes.setdefault(run, Counter()).update(amounts)

    def runs(self) -> Iterable[Run]:
        return self._changes.keys()

    def write(self, connection: Connection, now: datetime) -> None:
        """Add the changes to the database's counts, in the order of the keys: two writers never deadlock."""
        if not self._changes:
            return
        statement = _ADD_POSTGRESQL if db.is_postgresql(connection) else _ADD_SQLITE
        zero = dict.fromkeys(_ADDED, 0)
        rows = [
            {**zero, **change, "batch_id": run[0], "run": run[1], "kind": run[2], "now": now}
            for run, change in sorted(self._changes.items())
        ]
        for row in rows:
            connection.execute(statement, row)


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
