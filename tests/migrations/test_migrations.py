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
from app.schema import known_revisions, migrate
from config import Config

MIGRATIONS = Path(__file__).parents[2] / "migrations"
OF_SQLITE = "fk_ready_tasks_batch_id"
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
    scripts = ScriptDirectory.from_config(settings)
    assert len(scripts.get_heads()) == 1
    # The names of the files, which are read where Alembic is not loaded, say the same as their contents.
    every = frozenset(each.revision for each in scripts.walk_revisions())
    assert known_revisions() == (scripts.get_current_head(), every)


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


def test_large_values_are_compressed_with_lz4_where_the_database_has_it(empty_postgres_url: str) -> None:
    engine = make_engine(Config(database_url=empty_postgres_url))
    has_lz4 = "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
    methods = """SELECT string_agg(DISTINCT attcompression::text, '') FROM pg_attribute
        WHERE attname IN ('result', 'body') AND attrelid::regclass::text IN ('tasks', 'late_results', 'ready_tasks')"""
    try:
        migrate(empty_postgres_url)
        with engine.begin() as connection:
            expected = "l" if connection.execute(text(has_lz4)).scalar_one() else ""
            assert connection.execute(text(methods)).scalar_one() == expected
        migrate(empty_postgres_url, "0020", downgrade=True)
        with engine.begin() as connection:
            assert connection.execute(text(methods)).scalar_one() == ""
    finally:
        engine.dispose()


def test_twice_is_once(empty_url: str, engine: Engine) -> None:
    migrate(empty_url)
    before = triggers_of(engine)
    migrate(empty_url)
    assert triggers_of(engine) == before


@pytest.mark.filterwarnings("ignore:.*expression-based index .?ix_documents_name")
def test_no_drift_from_the_models(empty_url: str, engine: Engine) -> None:
    migrate(empty_url)
    with engine.connect() as connection:
        # An index over an expression is compared by the test below: Alembic cannot. Nor does it know a constraint that
        # only SQLite has.
        left_out = {"ix_documents_name", *({OF_SQLITE} if engine.dialect.name == "postgresql" else ())}
        opts = {"compare_type": True, "include_object": lambda _, name, *more: name not in left_out}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, Base.metadata) == []


def test_ready_made_tasks_have_a_foreign_key_on_sqlite_alone(empty_url: str, engine: Engine) -> None:
    """PostgreSQL has a trigger in its place, which is one of the defences below; the way back restores the key."""
    migrate(empty_url)
    names = [each["name"] for each in inspect(engine).get_foreign_keys("ready_tasks")]
    assert names == ([OF_SQLITE] if engine.dialect.name == "sqlite" else [])
    migrate(empty_url, "0019", downgrade=True)
    names = [each["name"] for each in inspect(engine).get_foreign_keys("ready_tasks")]
    assert names == [OF_SQLITE]
    assert not any("ready_tasks" in name for name in triggers_of(engine))
    migrate(empty_url)
    assert any("ready_tasks" in name for name in triggers_of(engine)) == (engine.dialect.name == "postgresql")


def test_an_index_over_an_expression_is_the_one_of_the_models(empty_url: str, engine: Engine) -> None:
    """The search for the names of documents: its statement and the index have the same expression."""
    migrate(empty_url)
    of_sqlite = "SELECT sql FROM sqlite_master WHERE name = 'ix_documents_name'"
    of_postgresql = "SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_documents_name'"
    with engine.connect() as connection:
        statement = of_postgresql if engine.dialect.name == "postgresql" else of_sqlite
        made = str(connection.exec_driver_sql(statement).scalar_one())
    expression = {"postgresql": 'lower((name)::text) COLLATE "C", id', "sqlite": "lower(name), id"}
    assert expression[engine.dialect.name] in made


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
