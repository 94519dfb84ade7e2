"""Contract 4: the database itself refuses what the table does not allow, for each user and each program."""

import sqlite3
import subprocess
from collections.abc import Iterator
from itertools import product
from shutil import which

import pytest
from sqlalchemy import Connection, Engine, insert, make_url, text
from sqlalchemy.exc import DBAPIError

from app.db import make_engine
from app.domain.transitions import INITIAL, LEGAL_PAIRS, BatchState
from app.models import AuditRow, Batch
from config import Config
from tests.support.postgres import find_programs
from tests.support.waiting import LIMIT_SECONDS

NOW = "'2026-01-01 00:00:00.000000'"
# The way from SAVED to each state, by SQL alone: one legal step a version.
WAYS = {
    "SAVED": [],
    "STAGING": ["STAGING"],
    "STAGED": ["STAGING", "STAGED"],
    "ANALYZING": ["STAGING", "STAGED", "ANALYZING"],
    "PAUSED": ["STAGING", "STAGED", "ANALYZING", "PAUSED"],
    "COMPLETED": ["STAGING", "STAGED", "ANALYZING", "COMPLETED"],
    "FAILED": ["STAGING", "FAILED"],
}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(Config(database_url=database_url))
    yield made
    made.dispose()


def new_batch(connection: Connection, state: str = INITIAL) -> int:
    """Make a batch and walk it to `state`; its audit log begins with its creation."""
    now = {"created_at": text(NOW), "updated_at": text(NOW)}
    made = connection.execute(
        insert(Batch).values(name="b", state=INITIAL, version=1, run=0, **now).returning(Batch.id)
    )
    batch_id: int = made.scalar_one()
    row = {"batch_id": batch_id, "version": 1, "trigger": "create", "kind": "edit", "to_state": INITIAL}
    who = {"actor": "a", "role": "admin", "context": {}, "at": text(NOW)}
    connection.execute(insert(AuditRow).values(**row, **who))
    for step in WAYS[state]:
        connection.execute(text(f"UPDATE batches SET state = '{step}', version = version + 1 WHERE id = {batch_id}"))
    return batch_id


def refused(connection: Connection, sql: str) -> bool:
    """Whether the database refuses a statement; the connection can go on."""
    nested = connection.begin_nested()
    try:
        connection.execute(text(sql))
    except DBAPIError:
        nested.rollback()
        return True
    nested.rollback()
    return False


@pytest.mark.parametrize("source", list(BatchState))
def test_every_pair_of_states(engine: Engine, source: str) -> None:
    """Contract 4: an UPDATE of the state that is no legal transition fails; a legal one passes."""
    with engine.begin() as connection:
        batch_id = new_batch(connection, source)
        for target in BatchState:
            sql = f"UPDATE batches SET state = '{target}', version = version + 1 WHERE id = {batch_id}"
            legal = target == source or (source, target) in LEGAL_PAIRS
            assert refused(connection, sql) is not legal, f"{source} -> {target}"


def test_an_unknown_state(engine: Engine) -> None:
    with engine.begin() as connection:
        batch_id = new_batch(connection)
        assert refused(connection, f"UPDATE batches SET state = 'DONE', version = version + 1 WHERE id = {batch_id}")


@pytest.mark.parametrize(
    "change",
    ["name = 'x'", "name = 'x', version = version", "version = version + 2", "version = version - 1", "version = 1"],
)
def test_a_change_without_its_version(engine: Engine, change: str) -> None:
    """Contract 4: any UPDATE of a batch that does not raise its version by exactly 1 fails."""
    with engine.begin() as connection:
        batch_id = new_batch(connection, "STAGED")
        assert refused(connection, f"UPDATE batches SET {change} WHERE id = {batch_id}")
        assert not refused(connection, f"UPDATE batches SET name = 'x', version = version + 1 WHERE id = {batch_id}")


@pytest.mark.parametrize(("state", "version"), list(product(["SAVED", "ANALYZING"], [1, 2])))
def test_a_batch_begins_at_the_beginning(engine: Engine, state: str, version: int) -> None:
    columns = "name, state, version, run, document_count, prompt_count, model_count, ready_task_count, max_attempts"
    more = "lease_seconds, priority, staging_timeout_seconds, on_unreadable, created_at, updated_at"
    values = f"'b', '{state}', {version}, 0, 0, 0, 0, 0, 3, 60, 0, 3600, 'fail', {NOW}, {NOW}"
    with engine.begin() as connection:
        sql = f"INSERT INTO batches ({columns}, {more}) VALUES ({values})"
        assert refused(connection, sql) is not ((state, version) == ("SAVED", 1))


def test_a_batch_is_not_deleted_from_under_its_audit_log(engine: Engine) -> None:
    with engine.begin() as connection:
        batch_id = new_batch(connection)
        assert refused(connection, f"DELETE FROM batches WHERE id = {batch_id}")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_log SET actor = 'nobody'",
        "UPDATE audit_log SET actor = actor",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE version = 1",
    ],
)
def test_the_audit_log_is_append_only(engine: Engine, sql: str) -> None:
    """Contract 4: UPDATE and DELETE on the audit log fail."""
    with engine.begin() as connection:
        new_batch(connection)
        assert refused(connection, sql)


def test_one_row_a_version(engine: Engine) -> None:
    """Contract 4: versions have no twin."""
    again = (
        "SELECT batch_id, version, \"trigger\", kind, from_state, to_state, 'x', role, reason, context, request_id, at"
    )
    with engine.begin() as connection:
        new_batch(connection)
        assert refused(connection, f"INSERT INTO audit_log {again} FROM audit_log")
        if engine.dialect.name == "sqlite":  # REPLACE deletes without firing a DELETE trigger
            assert refused(connection, f"INSERT OR REPLACE INTO audit_log {again} FROM audit_log")


@pytest.mark.parametrize(
    "sql", ["TRUNCATE audit_log", "TRUNCATE batches CASCADE", "TRUNCATE batches, audit_log CASCADE"]
)
@pytest.mark.parametrize("role", ["origin", "replica"])
def test_truncate_is_refused(postgres_url: str, sql: str, role: str) -> None:
    """Contract 4: TRUNCATE on the audit log fails. PostgreSQL alone: SQLite has no such statement."""
    engine = make_engine(Config(database_url=postgres_url))
    with engine.begin() as connection:
        new_batch(connection)
        connection.execute(text(f"SET session_replication_role = {role}"))
        assert refused(connection, sql)
    engine.dispose()


@pytest.mark.parametrize(
    "sql", ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "UPDATE batches SET name = 'x'"]
)
def test_a_replica_role_turns_nothing_off(postgres_url: str, sql: str) -> None:
    """Contract 4, against the way round a trigger. PostgreSQL alone: SQLite knows no roles."""
    engine = make_engine(Config(database_url=postgres_url))
    with engine.begin() as connection:
        new_batch(connection)
        connection.execute(text("SET session_replication_role = replica"))
        assert refused(connection, sql)
    engine.dispose()


@pytest.mark.parametrize("sql", ["UPDATE batches SET state = 'COMPLETED', version = version + 1", "TRUNCATE audit_log"])
def test_typed_into_psql(postgres_url: str, sql: str) -> None:
    """Contract 4: what is typed into psql fails too. Its program comes with the server, or lies on the path."""
    engine = make_engine(Config(database_url=postgres_url))
    with engine.begin() as connection:
        new_batch(connection)
    engine.dispose()
    program = find_programs() / "psql"
    found = str(program) if program.exists() else which("psql")
    assert found, "psql comes with PostgreSQL: apt-get install postgresql-client"
    url = make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(
        [found, url, "-v", "ON_ERROR_STOP=1", "-c", sql], capture_output=True, text=True, timeout=LIMIT_SECONDS
    )
    assert done.returncode != 0
    assert "no transition leads from SAVED to COMPLETED" in done.stderr or "append-only" in done.stderr


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE batches SET state = 'COMPLETED', version = version + 1",
        "UPDATE batches SET name = 'x'",
        "DELETE FROM audit_log",
        "INSERT OR REPLACE INTO batches SELECT * FROM batches",
    ],
)
def test_typed_into_sqlite3(sqlite_url: str, sql: str) -> None:
    """Contract 4, with a connection that this project has not prepared. SQLite alone: psql is the other test's."""
    engine = make_engine(Config(database_url=sqlite_url))
    with engine.begin() as connection:
        new_batch(connection)
    engine.dispose()
    plain = sqlite3.connect(str(make_url(sqlite_url).database))
    with pytest.raises(sqlite3.IntegrityError):
        plain.execute(sql)
    plain.close()
