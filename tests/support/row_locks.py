"""Lock a batch's row from a connection of another program, as somebody at psql would."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import psycopg2

HoldRow = Callable[[int], AbstractContextManager[None]]


def row_locks(url: str) -> HoldRow:
    """Make what holds the row of a batch for as long as a block lasts."""

    @contextmanager
    def held(batch_id: int) -> Iterator[None]:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM batches WHERE id = %s FOR UPDATE", (batch_id,))
            assert cursor.rowcount == 1
            yield
            connection.rollback()

    return held
