"""Contract 4: the database itself refuses a ready-made task without a batch, by a trigger or by a foreign key."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text

from app.db import make_engine
from config import Config
from tests.models.test_defences import new_batch, refused


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(Config(database_url=database_url))
    yield made
    made.dispose()


def insert(*rows: tuple[int, int]) -> str:
    """Write the SQL that adds rows of (batch, number)."""
    values = ", ".join(f"({batch}, {number}, 'c{number}', 'POST', '/v1/x', '{{}}', 'k')" for batch, number in rows)
    return f"INSERT INTO ready_tasks (batch_id, number, custom_id, method, url, body, content_key) VALUES {values}"


def amount(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM ready_tasks")).scalar_one())


def test_a_line_without_a_batch_is_refused(engine: Engine) -> None:
    """Also if another row of the statement has a batch; and one that has a batch does not move to none."""
    with engine.begin() as connection:
        batch_id = new_batch(connection)
        assert refused(connection, insert((batch_id + 1, 1)))
        assert refused(connection, insert((batch_id, 1), (batch_id + 1, 2)))
        connection.execute(text(insert((batch_id, 1), (batch_id, 2))))
        assert refused(connection, f"UPDATE ready_tasks SET batch_id = {batch_id + 1}")
        assert not refused(connection, "UPDATE ready_tasks SET target = 1")
        assert amount(connection) == 2
