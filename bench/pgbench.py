"""The transaction of an action in pgbench, without the service: what the action costs the database alone.

It locks the row, writes it by its version, appends the audit row and commits, in a database with the service's schema,
constraints and triggers that only these statements use.
"""

import re
import subprocess
import tempfile
from pathlib import Path

import psycopg2
from sqlalchemy import make_url

from bench.deployment import DoesNotAddUp
from bench.load import LAST_ANSWERS_SECONDS, START_SECONDS, BadLoad, NoLoadGenerator
from bench.options import CONNECTIONS, LOAD_THREADS
from tests.support.postgres import find_programs

# From SAVED to ANALYZING by the transition table. The triggers require an audit row for each step.
_STEPS = (
    ("stage", "action", "SAVED", "STAGING"),
    ("staging_completed", "event", "STAGING", "STAGED"),
    ("run", "action", "STAGED", "ANALYZING"),
)
_AUDIT = "INSERT INTO audit_log (batch_id, version, trigger, kind, from_state, to_state, actor, role, context, at)"
_BEGIN = (
    "BEGIN;\nSELECT version, (state = 'PAUSED')::int AS paused FROM batches WHERE id = :id FOR NO KEY UPDATE \\gset\n"
)
_WRITE = "UPDATE batches SET {state}version = version + 1, updated_at = now() WHERE id = :id AND version = :version;\n"

TOGGLE = (
    _BEGIN
    + _WRITE.format(state="state = CASE WHEN :paused = 1 THEN 'ANALYZING' ELSE 'PAUSED' END, ")
    + f"{_AUDIT} VALUES (:id, :version + 1, CASE WHEN :paused = 1 THEN 'resume' ELSE 'pause' END, 'action',\n"
    "    CASE WHEN :paused = 1 THEN 'PAUSED' ELSE 'ANALYZING' END,\n"
    "    CASE WHEN :paused = 1 THEN 'ANALYZING' ELSE 'PAUSED' END, 'bench', 'operator', '{}', now());\n"
    "COMMIT;\n"
)
RESET = (
    _BEGIN
    + _WRITE.format(state="state = 'SAVED', ")
    + f"{_AUDIT} VALUES (:id, :version + 1, 'reset', 'action', 'SAVED', 'SAVED', 'bench', 'operator', '{{}}', now());\n"
    "COMMIT;\n"
)


def fill(database_url: str, batches: int, analyzing: bool) -> None:
    """Make SAVED or ANALYZING batches with ids from 1, and their audit rows."""
    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO batches (id, name, state, version, run, document_count, prompt_count, model_count,"
            " ready_task_count, max_attempts, lease_seconds, priority, staging_timeout_seconds, on_unreadable,"
            " created_at, updated_at)"
            " SELECT id, 'pgbench', 'SAVED', 1, 0, 0, 0, 0, 1, 3, 60, 0, 3600, 'fail', now(), now()"
            " FROM generate_series(1, %s) AS id",
            (batches,),
        )
        append = f"{_AUDIT} SELECT id, version, %s, %s, %s, %s, 'bench', 'operator', '{{}}', now() FROM batches"
        cursor.execute(append, ("create", "edit", None, "SAVED"))
        for trigger, kind, source, target in _STEPS if analyzing else ():
            cursor.execute("UPDATE batches SET state = %s, version = version + 1", (target,))
            cursor.execute(append, (trigger, kind, source, target))
    connection.close()


def audit_rows(database_url: str) -> int:
    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_log")
        (found,) = cursor.fetchone() or (0,)
    connection.close()
    return int(found)


def find_pgbench() -> Path:
    """Find pgbench in the folder of PostgreSQL's programs. Raises NoLoadGenerator."""
    found = find_programs() / "pgbench"
    if not found.exists():
        raise NoLoadGenerator(f"pgbench is missing in {found.parent}: apt-get install postgresql-contrib.")
    return found


def rate(database_url: str, transaction: str, batches: int, seconds: int, protocol: str = "simple") -> float:
    """Run the transaction on random batches over 8 connections for the given seconds; return transactions per second.

    Raises BadLoad, and DoesNotAddUp unless each transaction wrote its audit row.
    """
    url = make_url(database_url)
    before = audit_rows(database_url)
    with tempfile.NamedTemporaryFile("w", prefix="interlock-pgbench-", suffix=".sql") as script:
        script.write(f"\\set id random(1, {batches})\n{transaction}")
        script.flush()
        command = [str(find_pgbench()), "-n", "-M", protocol, f"-c{CONNECTIONS}", f"-j{LOAD_THREADS}", f"-T{seconds}"]
        command += ["-f", script.name, "-h", str(url.host), "-p", str(url.port), "-U", str(url.username)]
        ran = subprocess.run(
            [*command, str(url.database)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds + LAST_ANSWERS_SECONDS + START_SECONDS,
            start_new_session=True,
        )
    per_second = re.search(r"tps = ([\d.]+)", ran.stdout)
    amount = re.search(r"transactions actually processed: (\d+)", ran.stdout)
    if ran.returncode or not per_second or not amount:
        raise BadLoad(f"pgbench ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    written = audit_rows(database_url) - before
    if written != int(amount[1]):
        raise DoesNotAddUp(f"{amount[1]} transactions, but {written} audit rows")
    return float(per_second[1])
