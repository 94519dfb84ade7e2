"""The triggers of a migrated database are those that `app.models.defences` makes, to the letter."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from app.db import make_engine
from app.models import Base, defences
from app.schema import migrate
from config import Config
from tests.support import databases

# What a trigger is: its name and table, when it fires, whether always, and what it does.
TRIGGERS = {
    "postgresql": """SELECT tgname, tgrelid::regclass::text, pg_get_triggerdef(t.oid), tgenabled::text,
        pg_get_functiondef(tgfoid) FROM pg_trigger t WHERE NOT tgisinternal ORDER BY 1, 2""",
    "sqlite": "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY 1",
}


@pytest.fixture
def made_by_hand(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Engine]:
    """A second database of the same kind: tables from the models, defences from their module, no migration."""
    if database_url.startswith("sqlite"):
        url, opened = f"sqlite:///{tmp_path / 'by_hand.db'}", None
    else:
        opened = databases.postgres_database(request.getfixturevalue("postgres_server"))
        url = opened.__enter__()
    engine = make_engine(Config(database_url=url))
    try:
        Base.metadata.create_all(engine)
        with engine.begin() as connection:
            for statement in defences.create(engine.dialect.name):
                connection.execute(text(statement))
        yield engine
    finally:
        engine.dispose()
        if opened:
            opened.__exit__(None, None, None)


def triggers(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(TRIGGERS[engine.dialect.name]))]


def test_a_migrated_database_has_the_defences_of_the_models(database_url: str, made_by_hand: Engine) -> None:
    """Contract 4: a change of the table that nobody wrote a migration for is seen here."""
    engine = make_engine(Config(database_url=database_url))
    try:
        assert triggers(engine) == triggers(made_by_hand) != []
    finally:
        engine.dispose()


def test_taken_down_none_is_left(made_by_hand: Engine) -> None:
    """PostgreSQL keeps functions when it drops tables; SQLite drops a table's triggers along with it."""
    with made_by_hand.begin() as connection:
        for statement in defences.drop(made_by_hand.dialect.name):
            connection.execute(text(statement))
        Base.metadata.drop_all(connection)
    assert triggers(made_by_hand) == []
    if made_by_hand.dialect.name == "postgresql":
        with made_by_hand.begin() as connection:
            left = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'defend%'"
            assert connection.execute(text(left)).scalar_one() == 0


def test_migrating_again_keeps_what_is_stored(database_url: str) -> None:
    """Migrating to where one is already touches no row: every start of a server does it."""
    engine = make_engine(Config(database_url=database_url))
    try:
        with engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO api_tokens (name, role, sha256, created_at)"
                    " VALUES ('anna', 'viewer', 'x', '2026-11-01 00:00:00')"
                )
            )
        migrate(database_url)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT name FROM api_tokens")).scalars().all() == ["anna"]
    finally:
        engine.dispose()
