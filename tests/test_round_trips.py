"""What goes along with the next statement: BEGIN, and writes that may wait. See app/round_trips.py."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from psycopg2 import extensions
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from app.db import make_engine, reading, transaction
from app.round_trips import MOST_LATER
from config import Config

LATER = text("INSERT INTO kept VALUES (:number)").execution_options(later=True)
LONG_LATER = text("INSERT INTO kept SELECT length(:text) + count(*) - 1 FROM kept").execution_options(later=True)
KEPT = text("SELECT number FROM kept ORDER BY number")


@pytest.fixture
def engine(empty_postgres_url: str) -> Iterator[Engine]:
    made = make_engine(Config(database_url=empty_postgres_url))
    with transaction(made) as connection:
        connection.execute(text("CREATE TABLE kept (number int PRIMARY KEY)"))
    yield made
    made.dispose()


@pytest.fixture
def sent(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is sent to the database, one text for each round trip."""
    found: list[str] = []

    def send(cursor: Any, query: Any, vars: Any = None) -> None:
        found.append(cursor.mogrify(query, vars).decode())
        extensions.cursor.execute(cursor, query, vars)

    monkeypatch.setattr("app.round_trips.OneTripCursor.send", send)
    return found


def kept(engine: Engine) -> list[int]:
    with reading(engine) as connection:
        return list(connection.execute(KEPT).scalars())


def test_a_transaction_begins_with_its_first_statement(engine: Engine, sent: list[str]) -> None:
    with transaction(engine) as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
        connection.execute(text("SELECT 2"))
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED; "
    assert sent == [f"{begin}SELECT 1", "SELECT 2", "COMMIT"]


def test_a_transaction_without_statements_sends_nothing(engine: Engine, sent: list[str]) -> None:
    with transaction(engine):
        pass
    assert sent == []


def test_what_may_wait_goes_with_the_next_statement_or_with_the_commit(engine: Engine, sent: list[str]) -> None:
    with transaction(engine) as connection:
        connection.execute(LATER, {"number": 1})
        connection.execute(LATER, {"number": 2})
        assert list(connection.execute(KEPT).scalars()) == [1, 2]
        connection.execute(LATER, {"number": 3})
    assert sent == [
        "BEGIN ISOLATION LEVEL READ COMMITTED; INSERT INTO kept VALUES (1); INSERT INTO kept VALUES (2);"
        " SELECT number FROM kept ORDER BY number",
        "INSERT INTO kept VALUES (3); COMMIT",
    ]
    assert kept(engine) == [1, 2, 3]


def test_what_is_long_does_not_wait(engine: Engine, sent: list[str]) -> None:
    """A report of many megabytes is written in portions: no more than one of them is kept."""
    with transaction(engine) as connection:
        connection.execute(LATER, {"number": 1})
        connection.execute(LONG_LATER, {"text": "x" * MOST_LATER})
        assert len(sent) == 1
        connection.execute(LONG_LATER, {"text": "x"})
        assert len(sent) == 1
    assert sent[1].endswith("; COMMIT")
    assert kept(engine) == [1, 2, MOST_LATER]


def test_a_rollback_forgets_what_was_not_sent(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(LATER, {"number": 1})
        connection.rollback()
        connection.execute(LATER, {"number": 2})
        connection.execute(KEPT)
        connection.execute(LATER, {"number": 3})
        connection.rollback()
        connection.execute(LATER, {"number": 4})
        connection.commit()
        connection.execute(LATER, {"number": 5})
    assert kept(engine) == [4]


def test_a_write_that_fails_later_fails_the_commit_and_all_of_the_transaction(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO kept VALUES (1)"))
        connection.execute(LATER, {"number": 1})
        with pytest.raises(IntegrityError):
            connection.commit()
    assert kept(engine) == []
    with transaction(engine) as connection:  # the connection is as good as new
        connection.execute(LATER, {"number": 1})
    assert kept(engine) == [1]


def test_after_an_error_a_transaction_can_only_be_rolled_back(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(LATER, {"number": 1})
        with pytest.raises(ProgrammingError):
            connection.execute(text("SELECT * FROM nothing"))
        connection.rollback()
        assert connection.execute(KEPT).all() == []


def test_a_reader_has_no_transaction(engine: Engine, sent: list[str]) -> None:
    with reading(engine) as connection:
        connection.execute(text("SELECT 1"))
        connection.execute(text("SELECT 2"))
    with transaction(engine) as connection:
        connection.execute(text("SELECT 3"))
    assert sent == ["SELECT 1", "SELECT 2", "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT 3", "COMMIT"]


def test_many_rows_and_a_copy_are_part_of_the_transaction(engine: Engine) -> None:
    """They go past `execute` of the cursor."""
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor:
            cursor.executemany("INSERT INTO kept VALUES (%s)", [(1,), (2,)])
        connection.execute(KEPT)
        connection.rollback()
        with driver.cursor() as cursor:
            cursor.copy_expert("COPY kept FROM STDIN", StringIO("3\n"))
        connection.execute(KEPT)
        connection.rollback()
    assert kept(engine) == []
