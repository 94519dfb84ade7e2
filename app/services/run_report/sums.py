"""Sums of the analysis tasks of a run by model or by prompt: the database counts and answers one row for each group.

The SQL is the same on both databases. Quantiles are nearest-rank: of n sorted latencies, the p-th percentile is number
p * n / 100, rounded up, so each is a latency that was measured.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, bindparam, case, cast, func, select

from app.domain.leases import TaskKind, TaskStatus
from app.domain.money import cost
from app.models import IS_TIMED, ReadyTask, Task
from app.services.task.named_tasks import OF_LINE

QUANTILES = (50, 90, 99)
MOST_GROUPS = 200  # ready-made lines may name any number of models; a batch of documents has fewer
LONGEST_MODEL = 200
_LATENCIES = (
    select(Task.prompt_number, Task.model_number, Task.latency_ms)
    .where(Task.batch_id == bindparam("batch_id"), Task.run == bindparam("run"), IS_TIMED)
    .where(Task.status == TaskStatus.COMPLETED)
    .order_by(Task.prompt_number, Task.model_number, Task.latency_ms)
)
_SUMS = ("input_tokens", "output_tokens", "cost_nanos", "unpriced")
# The model that a ready-made line names. PostgreSQL cannot read a part of a JSON value that holds U+0000.
LINE_MODEL: ColumnElement[Any] = case(
    (cast(ReadyTask.body, Text).contains("\\u0000", autoescape=True), None),
    else_=func.substr(ReadyTask.body["model"].as_string(), 1, LONGEST_MODEL),
)


def tally(connection: Connection, batch_id: int, run: int, by: ColumnElement[Any]) -> dict[Any, dict[str, Any]]:
    """Add up a run's analysis tasks by a column of Task or by LINE_MODEL, the largest group first."""
    rows = connection.execute(_statement(by), {"batch_id": batch_id, "run": run})
    return {row.group: _view(row._mapping) for row in rows}


def medians(connection: Connection, batch_id: int, run: int) -> dict[tuple[int, int], int]:
    """Give the median latency of each prompt and model of a run, of which all latencies are read: by an index."""
    found: dict[tuple[int, int], list[int]] = {}
    rows: Any = connection.execute(_LATENCIES, {"batch_id": batch_id, "run": run})
    for prompt, model, latency_ms in rows:
        found.setdefault((prompt, model), []).append(latency_ms)
    return {column: latencies[(len(latencies) - 1) // 2] for column, latencies in found.items()}


def _statement(by: ColumnElement[Any]) -> Any:
    timed = case((((Task.status == TaskStatus.COMPLETED) & Task.latency_ms.is_not(None)), 1), else_=0)
    among: Any = {"partition_by": [by, timed]}
    row = (
        select(
            by.label("group"),
            Task.status,
            Task.latency_ms,
            *(getattr(Task, name) for name in _SUMS),
            timed.label("timed"),
            func.row_number().over(**among, order_by=Task.latency_ms).label("rank"),
            func.count().over(**among).label("among"),
        )
        .join(ReadyTask, OF_LINE, isouter=True)
        .where(Task.batch_id == bindparam("batch_id"), Task.run == bindparam("run"), Task.kind == TaskKind.ANALYZE)
        .subquery()
        .c
    )

    def quantile(p: int) -> Any:
        of_rank = (row.timed == 1) & (row.rank == (row.among * p + 99) // 100)
        return func.max(case((of_rank, row.latency_ms))).label(f"p{p}")

    return (
        select(
            row.group,
            func.count().label("tasks"),
            func.count().filter(row.status == TaskStatus.COMPLETED).label("completed"),
            func.count().filter(row.status == TaskStatus.FAILED).label("failed"),
            *(func.sum(row[name]).label(name) for name in _SUMS),
            *map(quantile, QUANTILES),
        )
        .group_by(row.group)
        .order_by(func.count().desc(), row.group)
        .limit(MOST_GROUPS)
    )


def _view(row: Any) -> dict[str, Any]:
    finished = row["completed"] + row["failed"]
    return {
        "tasks": row["tasks"],
        "completed": row["completed"],
        "failed": row["failed"],
        "failure_rate": row["failed"] / finished if finished else None,
        "latency_ms": {f"p{p}": row[f"p{p}"] for p in QUANTILES},
        "input_tokens": int(row["input_tokens"]),
        "output_tokens": int(row["output_tokens"]),
        "cost": cost(int(row["cost_nanos"])),
        "unpriced_calls": int(row["unpriced"]),
    }


_NO_TASKS = {"tasks": 0, "completed": 0, "failed": 0, **dict.fromkeys(_SUMS, 0)}
NOTHING = _view({**_NO_TASKS, **{f"p{p}": None for p in QUANTILES}})
