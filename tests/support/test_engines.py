"""An engine that is used again has no listeners of an earlier test, and none of its connections that are not sound."""

from dataclasses import replace

import psycopg2
import pytest
from sqlalchemy import Engine, event, text

from app import db
from config import Config
from tests.support.databases import PostgresPool
from tests.support.engines import engine_for, give_back
from tests.support.waiting import wait_until


def test_one_that_was_disposed_of_is_used_again(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    first, seen = engine_for(config), []
    event.listen(first, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    with first.connect() as connection:
        connection.execute(text("SELECT 1"))
        before = connection.connection.dbapi_connection
    first.dispose()
    again, beside = engine_for(config), engine_for(config)
    with again.connect() as connection:
        connection.execute(text("SELECT 2"))
        assert connection.connection.dbapi_connection is not before
    assert seen[-1] == "SELECT 1"  # and what came after it is not seen
    assert again.dialect is first.dialect  # with what was compiled for it
    assert beside.dialect is not first.dialect  # two at once share nothing
    again.dispose()
    assert engine_for(replace(config, lock_timeout_ms=1)).dialect is not first.dialect
    monkeypatch.setattr(db, "SQLITE_WAIT_SECONDS", 1)
    assert engine_for(config).dialect is not first.dialect


def backend_of(engine: Engine) -> int:
    with engine.connect() as connection:
        found: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        return found


def test_a_connection_that_was_given_back_is_used_again_unless_a_test_has_ended_it(postgres_pool: PostgresPool) -> None:
    backends, closing = [], None
    for _ in range(3):
        with postgres_pool.database() as url:
            engine = engine_for(Config(database_url=url))
            backends.append(backend_of(engine))
            give_back(engine)
            if closing is None:
                closing = psycopg2.connect(url)
            elif len(backends) == 2:
                with psycopg2.connect(url) as connection, connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(%s)", backends[-1:])
                connection.close()
    assert backends[0] == backends[1] != backends[2]
    with pytest.raises(psycopg2.OperationalError):
        closing.cursor().execute("SELECT 1")  # this one was not kept


def test_what_is_still_in_use_when_an_engine_is_given_back_is_not_kept(postgres_pool: PostgresPool) -> None:
    with postgres_pool.database() as url:
        engine = engine_for(Config(database_url=url))
        left = engine.connect()
        before = left.execute(text("SELECT pg_backend_pid()")).scalar_one()
        give_back(engine)
    with postgres_pool.database() as url:
        engine = engine_for(Config(database_url=url))
        assert backend_of(engine) != before
        give_back(engine)
    left.invalidate()
    left.close()


def test_a_wait_returns_what_it_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([None, [], "it"])
    assert wait_until(lambda: next(looks)) == "it"
    monkeypatch.setattr("tests.support.waiting.LIMIT_SECONDS", 0.0)
    with pytest.raises(AssertionError, match="Did not come in 0 s: the train"):
        wait_until(lambda: False, lambda: "the train")
