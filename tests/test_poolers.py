"""Behind a pooler, the settings of a transaction come with its first statement; nothing else is left in a session."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions
from sqlalchemy import Connection, Engine, text

from app.db import make_engine, reading, transaction
from app.errors import Unavailable
from app.poolers import NO_TRANSACTIONS, is_pooled
from app.prepared_statements import Prepared
from config import Config
from tests.support.pgbouncer import MODES

SETTINGS = {
    "lock_timeout": "123ms",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
    "TimeZone": "UTC",
    "jit": "off",
}
ONE = Prepared("one", text("SELECT 1"))
PREPARED = text("SELECT name FROM pg_prepared_statements")


@pytest.fixture
def pooled_url(request: pytest.FixtureRequest, empty_postgres_url: str, pooler_urls: Callable[[str], str]) -> str:
    return f"{pooler_urls(request.param)}/{empty_postgres_url.rpartition('/')[2]}"


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = make_engine(
        Config(database_url=request.getfixturevalue(getattr(request, "param", "pooled_url")), lock_timeout_ms=123)
    )
    yield made
    made.dispose()


def shown(connection: Connection) -> dict[str, str]:
    return {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in SETTINGS}


@pytest.mark.parametrize("pooled_url", MODES, indirect=True)
def test_the_settings_are_in_force_in_each_transaction_and_nowhere_else(engine: Engine, pooled_url: str) -> None:
    with transaction(engine) as connection:
        assert is_pooled(connection)
        assert shown(connection) == SETTINGS
    with reading(engine) as connection:
        assert shown(connection) == SETTINGS
    engine.dispose()
    with closing(psycopg2.connect(pooled_url)) as other, other.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")  # in the session that the service had
        assert cursor.fetchone() == ("0",)


@pytest.mark.parametrize("pooled_url", MODES, indirect=True)
@pytest.mark.usefixtures("pooled_url")
def test_nothing_is_prepared(engine: Engine) -> None:
    with transaction(engine) as connection:
        assert ONE.rows(connection) == [(1,)]
        assert connection.execute(PREPARED).all() == []


@pytest.mark.parametrize("engine", ["empty_postgres_url"], indirect=True)
def test_without_a_pooler_they_are_set_once(engine: Engine) -> None:
    with reading(engine) as connection:
        assert not is_pooled(connection)
        assert shown(connection) == SETTINGS
    with engine.connect() as connection:
        assert shown(connection) == SETTINGS
        connection.rollback()
        assert shown(connection) == SETTINGS


@pytest.mark.parametrize(
    ("pooled_url", "engine", "brought"),
    [
        ("session", "pooled_url", [1, 0, 0, 1, 0, 0]),
        ("transaction", "pooled_url", [1, 0, 0, 1, 0, 0]),
        ("session", "empty_postgres_url", [0] * 6),
    ],
    indirect=["pooled_url", "engine"],
)
@pytest.mark.usefixtures("pooled_url")
def test_they_cost_no_round_trip(engine: Engine, brought: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent is as much as without a pooler: the settings stand before the first statement of a transaction."""
    with reading(engine):
        pass
    sent: list[str] = []

    def see(cursor: Any, query: Any, vars: Any = None) -> None:
        sent.append(cursor.mogrify(query, vars).decode())
        extensions.cursor.execute(cursor, query, vars)

    monkeypatch.setattr("app.round_trips.OneTripCursor.send", see)
    for _ in range(2):
        with transaction(engine) as connection:
            connection.execute(text("SELECT 1"))
            connection.execute(text("SELECT 2"))
    assert [statement.rpartition("; ")[2] for statement in sent] == ["SELECT 1", "SELECT 2", "COMMIT"] * 2
    assert [statement.count("SET LOCAL lock_timeout") for statement in sent] == brought


@pytest.mark.parametrize("pooled_url", ["statement"], indirect=True)
@pytest.mark.usefixtures("pooled_url")
def test_a_pooler_by_statement_is_refused(engine: Engine) -> None:
    with pytest.raises(Unavailable, match=f"^{NO_TRANSACTIONS}$"), reading(engine):
        pass
