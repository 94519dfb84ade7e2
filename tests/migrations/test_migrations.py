"""Migrations: one head, up and down and up again on both databases, and no drift from the models."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from app.db import make_engine
from app.domain.transitions import LEGAL_PAIRS
from app.models import Base, defences
from app.schema import migrate
from config import Config

MIGRATIONS = Path(__file__).parents[2] / "migrations"
OURS = {"batches", "documents", "tasks", "audit_log", "state_change_requests", "api_tokens"}


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    made = make_engine(Config(database_url=empty_url))
    yield made
    made.dispose()


def triggers_of(engine: Engine) -> dict[str, str]:
    """The triggers of a database, each with what it does."""
    queries = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname, pg_get_functiondef(tgfoid) || tgenabled::text FROM pg_trigger "
        "WHERE NOT tgisinternal",
    }
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(text(queries[engine.dialect.name]))}


def test_there_is_one_head() -> None:
    settings = AlembicConfig()
    settings.set_main_option("script_location", str(MIGRATIONS))
    assert len(ScriptDirectory.from_config(settings).get_heads()) == 1


def test_up_down_and_up_again(empty_url: str, engine: Engine) -> None:
    """Contract 4 names the tables; the way back leaves nothing of them, and the way up can be gone again."""
    migrate(empty_url)
    assert set(inspect(engine).get_table_names()) >= OURS
    first = triggers_of(engine)
    migrate(empty_url, "base", downgrade=True)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    assert not triggers_of(engine)
    migrate(empty_url)
    assert set(inspect(engine).get_table_names()) >= OURS
    assert triggers_of(engine) == first


def test_twice_is_once(empty_url: str, engine: Engine) -> None:
    migrate(empty_url)
    before = triggers_of(engine)
    migrate(empty_url)
    assert triggers_of(engine) == before


def test_no_drift_from_the_models(empty_url: str, engine: Engine) -> None:
    migrate(empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_defences_are_those_of_the_table(empty_url: str, engine: Engine) -> None:
    """Contract 2: database constraints are derived from the table. Every statement of the defences is in force."""
    migrate(empty_url)
    in_force = triggers_of(engine)
    wanted = [
        statement.split()[2] for statement in defences.create(engine.dialect.name) if "CREATE TRIGGER" in statement
    ]
    assert sorted(in_force) == sorted(wanted)
    pairs = ", ".join(f"('{source}', '{target}')" for source, target in LEGAL_PAIRS)
    assert any(pairs in does for does in in_force.values())
    if engine.dialect.name == "postgresql":
        assert all(does.endswith("A") for does in in_force.values()), "ENABLE ALWAYS"


def test_a_later_database_is_left_alone(empty_url: str, engine: Engine) -> None:
    """A server of this release starts beside one of the next, whose migration it does not know."""
    migrate(empty_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    migrate(empty_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "later"
