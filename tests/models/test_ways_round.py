"""Contract 4: no way round the defences: what is typed into the programs themselves, and statements less plain."""

import subprocess
from collections.abc import Iterator
from itertools import product
from shutil import which
from typing import Any

import pytest
from sqlalchemy import Engine, make_url, text

from app.db import make_engine
from app.domain.transitions import LEGAL_PAIRS, BatchState
from app.models import defences
from config import Config
from tests.models.test_defences import new_batch, refused
from tests.support.postgres import find_programs
from tests.support.waiting import LIMIT_SECONDS

PAIRS = list(product(BatchState, BatchState))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(Config(database_url=database_url))
    yield made
    made.dispose()


def type_into_the_program(engine: Engine, script: str) -> str:
    """Feed a script to psql or sqlite3, which goes on after an error; return what it says on stderr."""
    if engine.dialect.name == "postgresql":
        beside = find_programs() / "psql"
        program = str(beside) if beside.exists() else which("psql")
        arguments = [
            make_url(engine.url).set(drivername="postgresql").render_as_string(hide_password=False),
            "--no-psqlrc",
        ]
    else:
        program, arguments = which("sqlite3"), [str(engine.url.database)]
    assert program, "apt-get install postgresql-client sqlite3"
    ended = subprocess.run([program, *arguments], input=script, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    return ended.stderr


def test_every_pair_of_states_typed_into_the_program(engine: Engine) -> None:
    """Contract 4: of all 49 changes of state, those of the table pass, each with its version, and no other."""
    with engine.begin() as connection:
        batches = {pair: new_batch(connection, pair[0]) for pair in PAIRS}
        before = {row.id: row.version for row in connection.execute(text("SELECT id, version FROM batches"))}
    script = [
        f"UPDATE batches SET state = '{target}', version = version + 1 WHERE id = {batch_id};"
        for (_, target), batch_id in batches.items()
    ]
    said = type_into_the_program(engine, "\n".join(script))
    with engine.connect() as connection:
        after = {row.id: row for row in connection.execute(text("SELECT id, state, version FROM batches"))}
    passed = {pair for pair, batch_id in batches.items() if after[batch_id].version == before[batch_id] + 1}
    assert passed == {*LEGAL_PAIRS, *((state, state) for state in BatchState)}
    for (source, target), batch_id in batches.items():
        expected = (target, before[batch_id] + 1) if (source, target) in passed else (source, before[batch_id])
        assert (after[batch_id].state, after[batch_id].version) == expected
    assert said.count("no transition leads from") == len(PAIRS) - len(passed)


TYPED = [
    "UPDATE batches SET name = 'x';",
    "UPDATE batches SET state = 'STAGING';",
    "UPDATE batches SET state = 'STAGING', version = version + 2;",
    "UPDATE batches SET id = id + 1, version = version + 1;",
    "UPDATE audit_log SET actor = 'nobody';",
    "DELETE FROM audit_log;",
    "INSERT INTO audit_log SELECT * FROM audit_log;",
]
TYPED_INTO_PSQL = [
    "TRUNCATE audit_log;",
    "TRUNCATE batches CASCADE;",
    "SET session_replication_role = replica; DELETE FROM audit_log;",
    "SET session_replication_role = replica; TRUNCATE audit_log;",
    "SET session_replication_role = replica; UPDATE batches SET state = 'COMPLETED', version = version + 1;",
]
TYPED_INTO_SQLITE3 = [
    "PRAGMA foreign_keys = OFF; INSERT OR REPLACE INTO audit_log SELECT * FROM audit_log;",
    "PRAGMA foreign_keys = OFF; INSERT OR REPLACE INTO batches SELECT * FROM batches;",
    "UPDATE OR REPLACE audit_log SET version = version + 1;",
    "UPDATE OR IGNORE batches SET state = 'COMPLETED', version = version + 1;",
    "PRAGMA recursive_triggers = OFF; DELETE FROM audit_log;",
]


def rows(engine: Engine) -> list[list[Any]]:
    with engine.connect() as connection:
        return [[*connection.execute(text(f"SELECT * FROM {table}"))] for table in ("batches", "audit_log")]


def check_it_changes_nothing(engine: Engine, typed: str) -> None:
    with engine.begin() as connection:
        new_batch(connection)
    before = rows(engine)
    said = type_into_the_program(engine, typed)
    assert said != ""
    assert rows(engine) == before


@pytest.mark.parametrize("typed", TYPED)
def test_typed_into_either_program(engine: Engine, typed: str) -> None:
    """Contract 4: psql and sqlite3 themselves are refused, and say so."""
    check_it_changes_nothing(engine, typed)


@pytest.mark.parametrize("typed", TYPED_INTO_PSQL)
def test_typed_into_psql(postgres_url: str, typed: str) -> None:
    """Contract 4: TRUNCATE, and a session that calls itself a replica. PostgreSQL alone has them."""
    engine = make_engine(Config(database_url=postgres_url))
    check_it_changes_nothing(engine, typed)
    engine.dispose()


@pytest.mark.parametrize("typed", TYPED_INTO_SQLITE3)
def test_typed_into_sqlite3(sqlite_url: str, typed: str) -> None:
    """Contract 4: conflict clauses go round DELETE triggers. SQLite alone has them."""
    engine = make_engine(Config(database_url=sqlite_url))
    check_it_changes_nothing(engine, typed)
    engine.dispose()


@pytest.mark.parametrize(
    "change",
    ["state = 'COMPLETED', version = batches.version + 1", "state = 'STAGING'", "version = 2 + batches.version"],
)
def test_an_insert_that_becomes_an_update(engine: Engine, change: str) -> None:
    """Contract 4: INSERT ... ON CONFLICT DO UPDATE is an UPDATE like any other."""
    with engine.begin() as connection:
        new_batch(connection)
        before = connection.execute(text("SELECT * FROM batches")).all()
        upsert = f"INSERT INTO batches SELECT * FROM batches WHERE true ON CONFLICT (id) DO UPDATE SET {change}"
        assert refused(connection, upsert)
        assert connection.execute(text("SELECT * FROM batches")).all() == before


def test_the_audit_log_may_still_be_written(engine: Engine) -> None:
    """Contract 4: append-only, not read-only: the next version goes in."""
    with engine.begin() as connection:
        new_batch(connection)
        row = 'batch_id, version + 1, "trigger", kind, to_state, to_state, actor, role, reason, context, request_id, at'
        assert not refused(connection, f"INSERT INTO audit_log SELECT {row} FROM audit_log")


def test_what_the_defences_refuse_is_an_integrity_error(engine: Engine) -> None:
    """The drivers tell it from a fault of the database: SQLSTATE 23514 on PostgreSQL, SQLITE_CONSTRAINT on SQLite."""
    with engine.connect() as connection, connection.begin():
        new_batch(connection)
        with pytest.raises(engine.dialect.loaded_dbapi.IntegrityError) as told:
            connection.connection.cursor().execute("UPDATE batches SET name = 'x'")
    assert "raises the version by exactly 1" in str(told.value)
    assert len(defences.create(engine.dialect.name)) > 0
