"""What each prompt and model used in a run: written in a report's transaction, read by model, prompt and connection.

It has shards as the counts of tasks have, and is exact at every commit. It sets no limit.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, literal_column, text

from app import db
from app.array_texts import array_text
from app.domain.money import cost
from app.domain.usage import CallUsage, ConnectionCalls
from app.prepared_statements import Prepared
from app.services.task.task_counts import SHARD, bounded_sum

# Batch id, run, number of the prompt, number of the model; the last two are 0 for a ready-made task.
UsageKey = tuple[int, int, int, int]

_KEY = ("batch_id", "run", "prompt_number", "model_number")
_ADDED = ("attempts", "failures", "timed", "unpriced", "input_tokens", "output_tokens", "cost_nanos", "latency_ms")
COLUMNS = (*_KEY, *_ADDED)  # all of them whole numbers


def adding(values: str) -> str:
    """Write in SQL how rows are added: `values` gives COLUMNS, and the shard."""
    return f"""
        INSERT INTO usage_counts AS u ({", ".join(COLUMNS)}, shard) {values}
        ON CONFLICT ({", ".join(_KEY)}, shard) DO UPDATE SET
            {", ".join(f"{name} = {bounded_sum('u', name)}" for name in _ADDED)}
    """


_ADD_POSTGRESQL = Prepared(
    "add_usage",
    text(
        adding(
            f"SELECT {', '.join(COLUMNS)}, {SHARD}"
            f" FROM unnest({', '.join(f'CAST(:{name} AS bigint[])' for name in COLUMNS)}) AS w({', '.join(COLUMNS)})"
            f" ORDER BY {', '.join(_KEY)}"
        )
    ),
    later=True,
)
_ADD_SQLITE = text(adding(f"VALUES ({', '.join(f':{name}' for name in COLUMNS)}, 0)"))

_SUMS = ", ".join(f"CAST(sum(u.{name}) AS bigint) AS {name}" for name in _ADDED)
_OF_RUN = "WHERE u.batch_id = :batch_id AND u.run = :run"
_BY_CONNECTION = text(f"""
SELECT m.connection, {_SUMS} FROM usage_counts u
LEFT JOIN models m ON m.batch_id = u.batch_id AND m.number = u.model_number
{_OF_RUN} GROUP BY m.connection ORDER BY m.connection
""")
_BY_MODEL_AND_PROMPT = text(f"""
SELECT 'model' AS of, u.model_number AS number, m.connection, m.model AS name, {_SUMS} FROM usage_counts u
LEFT JOIN models m ON m.batch_id = u.batch_id AND m.number = u.model_number
{_OF_RUN} GROUP BY u.model_number, m.connection, m.model
UNION ALL
SELECT 'prompt', u.prompt_number, NULL, p.name, {_SUMS} FROM usage_counts u
LEFT JOIN prompts p ON p.batch_id = u.batch_id AND p.number = u.prompt_number
{_OF_RUN} GROUP BY u.prompt_number, p.name
ORDER BY 1, 2
""")
# For a statement of PostgreSQL that reads batches: what the present run of each used, by the numbers of its models and
# prompts, as one column for `shares_of`. Without their names, and so without a join.
PRESENT_SHARES: Any = literal_column(
    db.rows_as_json(
        f"SELECT u.model_number, u.prompt_number, {_SUMS} FROM usage_counts u"
        " WHERE u.batch_id = batches.id AND u.run = batches.run"
        " GROUP BY GROUPING SETS ((u.model_number), (u.prompt_number))"
    )
).label("shares")

_BY_COLUMN = text(f"""
SELECT u.prompt_number, u.model_number, {_SUMS} FROM usage_counts u {_OF_RUN} GROUP BY u.prompt_number, u.model_number
""")


class UsageChanges:
    """What one transaction adds to the usage; `write` adds it in the database."""

    def __init__(self) -> None:
        self._calls: defaultdict[UsageKey, list[CallUsage]] = defaultdict(list)
        self._failures: Counter[UsageKey] = Counter()

    def add(self, key: UsageKey, usage: CallUsage, failed: bool) -> None:
        """Count one call, and what it used."""
        self._calls[key].append(usage)
        if failed:
            self._failures[key] += 1

    def rows(self) -> list[dict[str, int]]:
        """Make the rows to add, in the order of the keys: two writers cannot deadlock."""
        return [
            {
                **dict(zip(_KEY, key, strict=True)),
                "attempts": len(calls),
                "failures": self._failures[key],
                "timed": sum(call.latency_ms is not None for call in calls),
                **CallUsage.total(calls)._asdict(),
            }
            for key, calls in sorted(self._calls.items())
        ]

    def write(self, connection: Connection) -> None:
        """Add the changes by one statement."""
        rows = self.rows()
        if rows and db.is_postgresql(connection):
            columns = {name: array_text(row[name] for row in rows) for name in COLUMNS}
            _ADD_POSTGRESQL.rows(connection, **columns)
        elif rows:
            connection.execute(_ADD_SQLITE, rows)


def by_connection(connection: Connection, batch_id: int, run: int) -> list[ConnectionCalls]:
    """Read the calls of a run over each connection."""
    rows = connection.execute(_BY_CONNECTION, {"batch_id": batch_id, "run": run})
    return [ConnectionCalls(row.connection, row.attempts, row.failures) for row in rows]


def by_model_and_prompt(connection: Connection, batch_id: int, run: int) -> dict[str, list[dict[str, Any]]]:
    """Sum up what a run used, by model and by prompt, in their order; the names of ready-made tasks are null."""
    rows = connection.execute(_BY_MODEL_AND_PROMPT, {"batch_id": batch_id, "run": run}).all()
    return {
        "by_model": [
            {"connection": row.connection, "model": row.name, **_shown(row)} for row in rows if row.of == "model"
        ],
        "by_prompt": [{"prompt": row.name, **_shown(row)} for row in rows if row.of == "prompt"],
    }


def shares_of(
    column: Sequence[Mapping[str, Any]], models: Mapping[int, tuple[str, str]], prompts: Mapping[int, str]
) -> dict[str, list[dict[str, Any]]]:
    """Read the column PRESENT_SHARES, as `by_model_and_prompt` reads a run; the names are given, by number."""
    used = [SimpleNamespace(**row) for row in column]
    of_models = sorted((each for each in used if each.model_number is not None), key=lambda each: each.model_number)
    of_prompts = sorted((each for each in used if each.prompt_number is not None), key=lambda each: each.prompt_number)
    named = [(models.get(each.model_number, (None, None)), each) for each in of_models]
    return {
        "by_model": [{"connection": name[0], "model": name[1], **_shown(each)} for name, each in named],
        "by_prompt": [{"prompt": prompts.get(each.prompt_number), **_shown(each)} for each in of_prompts],
    }


def by_column(connection: Connection, batch_id: int, run: int) -> dict[tuple[int, int], dict[str, Any]]:
    """Sum up what a run used by prompt and model, by their numbers."""
    rows = connection.execute(_BY_COLUMN, {"batch_id": batch_id, "run": run})
    return {(row.prompt_number, row.model_number): _shown(row) for row in rows}


def _shown(row: Any) -> dict[str, Any]:
    return {
        "calls": row.attempts,
        "failures": row.failures,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost": cost(row.cost_nanos),
        "unpriced_calls": row.unpriced,
        "latency_ms": round(row.latency_ms / row.timed, 1) if row.timed else None,
    }
