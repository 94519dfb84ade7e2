"""A database that a test was done with is as new to the next one, or is not given to it."""

from contextlib import closing

import psycopg2
import pytest

from tests.support.databases import PostgresPool


def told(url: str, statement: str) -> object:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


def test_rows_and_numbers_are_gone_and_so_is_who_was_left(postgres_pool: PostgresPool) -> None:
    with postgres_pool.database() as first:
        left = psycopg2.connect(first)
        left.cursor().execute("SELECT nextval('batches_id_seq')")
        assert told(first, "CREATE TEMPORARY TABLE t (a int); SELECT nextval('batches_id_seq')") != (1,)
    with postgres_pool.database() as again:
        assert again == first
        assert told(again, "SELECT nextval('batches_id_seq')") == (1,)
    with pytest.raises(psycopg2.OperationalError):
        left.cursor().execute("SELECT 1")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE tasks ADD COLUMN further int",
        "ALTER TABLE tasks RENAME TO gone",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "UPDATE alembic_version SET version_num = 'x'",
        "CREATE TABLE further (a int)",
    ],
)
def test_one_that_was_changed_is_not_used_again(postgres_pool: PostgresPool, change: str) -> None:
    with postgres_pool.database() as first:
        told(first, f"{change}; SELECT 1")
    with postgres_pool.database() as another:
        assert another != first
