"""The queue while a session holds a snapshot open: no dead row can be removed. Storage settings with and without."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import orjson
import psycopg2
from sqlalchemy import text

from app.domain.leases import Outcome
from app.services import Services, build
from app.services.batch.orders import Order
from app.services.input import edits
from app.services.input.ready_tasks import ReadyTasks
from app.services.queue.reports import Report
from bench import make_batches
from bench.deployment import scratch_database
from bench.options import Bench
from bench.results import Result
from bench.rounds import ratio
from config import Config

TASKS = 200_000
HISTORY = 3_000_000  # tasks of an earlier batch: the thresholds of autovacuum are a share of the table
CHUNK = 2_000  # short turns: what else the machine does then slows both sides
SAID = 10  # turns between two lines of progress
AT_ONCE = 100
QUEUE = ("tasks", "task_counts", "usage_counts")
_EMPTY: dict[str, Any] = {"name": "history", "documents": [], "prompts": [], "models": [], "options": {}}
_HISTORY = text("""
    INSERT INTO tasks (batch_id, run, kind, status, attempt, critical, available_at, past_leases, finished_at,
        input_tokens, output_tokens, cost_nanos, result)
    SELECT :batch_id, 1, 'ANALYZE', 'COMPLETED', 1, false, now(), '', now(), 0, 0, 0,
        json_build_object('text', repeat('An answer. ', 20)) FROM generate_series(1, :n)
""")
_HISTORY_COUNT = text("""
    INSERT INTO task_counts (batch_id, run, kind, shard, queued, leased, completed, failed, critical, skipped, found,
        truncated, unpriced, input_tokens, output_tokens, cost_nanos, touched_at)
    VALUES (:batch_id, 1, 'ANALYZE', 0, 0, 0, :n, 0, 0, 0, 0, 0, 0, 0, 0, 0, now())
""")
_RESULT = {"text": "An answer.", "usage": {"input_tokens": 12, "output_tokens": 3}}


@dataclass(frozen=True)
class Side:
    """One of the two databases, with a batch of tasks that nobody has leased yet."""

    services: Services
    batch_id: int

    def complete(self, amount: int) -> float:
        """Lease and complete tasks; return the tasks per second."""
        begun, done = perf_counter(), 0
        while done < amount:
            leased = self.services.queue.lease("bench", AT_ONCE, lease_seconds=3600, batch_id=self.batch_id).tasks
            reports = [Report(each["id"], each["lease_token"], Outcome.COMPLETED, result=_RESULT) for each in leased]
            self.services.batches.report(reports)
            done += len(leased)
        return amount / (perf_counter() - begun)

    def size(self, table: str) -> int:
        with self.services.engine.connect() as connection:
            return int(connection.execute(text("SELECT pg_total_relation_size(:t)"), {"t": table}).scalar_one())


@contextmanager
def _side(bench: Bench, tasks: int, as_before: bool) -> Iterator[Side]:
    with scratch_database(bench) as url:
        services = build(Config(database_url=url))
        try:
            if as_before:
                with services.engine.begin() as connection:
                    for table in QUEUE:
                        _reset(connection, table)
            with ReadyTasks() as ready:
                lines = (orjson.loads(make_batches.line_of(number)) for number in range(1, tasks + 1))
                ready.add(list(enumerate(lines, 1)))
                batch_id = int(edits.create_batch_of_ready_tasks(services.batches, "b", ready, Order())["id"])
            services.batches.request_state_change(batch_id, "stage", {})
            while services.batches.write_tasks(batch_id):
                pass
            services.batches.request_state_change(batch_id, "run", {})
            add_history(services, bench.size(HISTORY))
            with services.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM (ANALYZE)"))
            yield Side(services, batch_id)
        finally:
            services.engine.dispose()


def add_history(services: Services, tasks: int) -> None:
    """Add an archived batch of completed tasks."""
    values = {"batch_id": int(edits.create_batch(services.batches, _EMPTY, Order())["id"]), "n": tasks}
    edits.archive(services.batches, values["batch_id"], Order())
    with services.engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(_HISTORY, values)
        connection.execute(_HISTORY_COUNT, values)


def _reset(connection: Any, table: str) -> None:
    """Take the storage settings from a table, as it was before the migration that set them."""
    options = connection.execute(text("SELECT reloptions FROM pg_class WHERE relname = :t"), {"t": table}).scalar()
    if options:
        names = ", ".join(option.partition("=")[0] for option in options)
        connection.execute(text(f"ALTER TABLE {table} RESET ({names})"))


@contextmanager
def held_snapshot(services: Services) -> Iterator[None]:
    """Hold a snapshot open, as a report or a dump that takes hours does."""
    url = services.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg2.connect(url)) as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM batches")
            yield


def snapshots(bench: Bench) -> list[Result]:
    """Complete 200,000 tasks under a snapshot, in turns with a database without the queue's storage settings."""
    tasks = bench.size(TASKS, least=CHUNK)
    results = []
    for held in (True, False):
        with ExitStack() as opened:
            sides = {
                name: opened.enter_context(_side(bench, tasks, as_before=name == "before"))
                for name in ("before", "now")
            }
            if held:
                for side in sides.values():
                    opened.enter_context(held_snapshot(side.services))
            rates: dict[str, list[float]] = {name: [] for name in sides}
            for number in range(tasks // CHUNK):
                for name in sides if number % 2 else reversed(sides):
                    rates[name].append(sides[name].complete(CHUNK))
                if number % SAID == SAID - 1:
                    figures = ", ".join(f"{name} {median(rates[name][-SAID:]):,.0f}" for name in sides)
                    bench.progress.say(f"  {(number + 1) * CHUNK:,} tasks, snapshot {held}: {figures}")
            results.append(_result(tasks, held, rates))
            sizes = [(t, *(side.size(t) >> 10 for side in sides.values())) for t in QUEUE]
            bench.progress.say("  sizes: " + ", ".join(f"{t} {before:,}, now {now:,} KiB" for t, before, now in sizes))
    return results


def _result(tasks: int, held: bool, rates: Mapping[str, list[float]]) -> Result:
    last = max(1, len(rates["now"]) // 4)
    ends = {name: (median(each[:last]), median(each[-last:])) for name, each in rates.items()}
    shown = {name: f"{end:,.0f} tasks/s, {begin:,.0f} at the beginning" for name, (begin, end) in ends.items()}
    what = f"lease 100 + report 100, {tasks:,} tasks, the last quarter" + (", a snapshot held open" if held else "")
    quarter = ratio(rates["now"][-last:], rates["before"][-last:])
    return Result(what, shown["now"], f"without the settings {shown['before']}", quarter)
