"""Prepared statements: prepared once for each connection, executed with parameters, kept after a rollback."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from app.db import make_engine, reading
from app.errors import Unavailable
from app.prepared_statements import Prepared
from config import Config

SUM = Prepared("a_sum", text("SELECT CAST(:b AS int) - :a AS difference, '100 %' AS share, :a AS again"))
TWO = Prepared(
    "two",
    text("SELECT set_config('a.b', :value, true)"),
    text("SELECT current_setting('a.b') AS kept, :value AS given"),
)
PREPARED = text("SELECT name, from_sql FROM pg_prepared_statements ORDER BY name")


@pytest.fixture
def engine(empty_postgres_url: str) -> Iterator[Engine]:
    made = make_engine(Config(database_url=empty_postgres_url))
    yield made
    made.dispose()


def test_it_is_prepared_once_and_executed_with_each_calls_parameters(engine: Engine) -> None:
    with engine.connect() as connection:
        assert SUM.row(connection, a=1, b=3) == (2, "100 %", 1)
        assert SUM.row(connection, a=2, b=3) == (1, "100 %", 2)
        assert connection.execute(PREPARED).all() == [("a_sum_0", True)]


def test_several_statements_are_one_call_that_answers_for_the_last(engine: Engine) -> None:
    with engine.connect() as connection:
        for value in ("x'y", "z"):
            assert TWO.row(connection, value=value) == (value, value)
        assert [name for name, _ in connection.execute(PREPARED)] == ["two_0", "two_1"]


def test_a_rollback_forgets_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        SUM.row(connection, a=1, b=3)
        connection.rollback()
        assert SUM.row(connection, a=1, b=2)[0] == 1


def test_a_new_connection_prepares_its_statements_again(engine: Engine) -> None:
    with engine.connect() as connection:
        SUM.row(connection, a=1, b=3)
        connection.invalidate()
    with engine.connect() as connection:
        assert SUM.row(connection, a=1, b=2)[0] == 1


def test_a_statement_that_could_not_be_prepared_is_prepared_the_next_time(engine: Engine) -> None:
    late = Prepared("late", text("SELECT 1"), text("SELECT count(*) FROM late"))
    with engine.connect() as connection:
        with pytest.raises(ProgrammingError):
            late.rows(connection)
        connection.rollback()
        connection.execute(text("CREATE TABLE late ()"))
        assert late.rows(connection) == [(0,)]


def test_a_connection_that_is_lost_is_refused_as_unavailable_and_replaced(engine: Engine) -> None:
    def lose_it() -> None:
        with reading(engine) as connection:
            SUM.row(connection, a=1, b=3)
            connection.connection.dbapi_connection.close()  # type: ignore[union-attr]
            SUM.row(connection, a=1, b=3)

    with pytest.raises(Unavailable):
        lose_it()
    with reading(engine) as connection:
        assert SUM.row(connection, a=1, b=3)[0] == 2
