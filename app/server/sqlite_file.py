"""The file of a SQLite database: where it is, and how a command has it for itself."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import make_url

IN_USE = "A service or another program uses the database: stop it first. Nothing was changed."


class NotPossible(Exception):
    """What a command cannot do with this file; the message says why, and that nothing was changed."""


def path_of(database_url: str) -> Path:
    """Find the file of a SQLite database. Raises NotPossible."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise NotPossible("This command is for SQLite. For PostgreSQL use pg_dump and pg_restore: docs/operating.md.")
    return Path(url.database)


@contextmanager
def alone(database: Path) -> Iterator[sqlite3.Connection]:
    """Open the database so that no other process can use it meanwhile. Raises NotPossible if one does."""
    with open(f"{database}.sweeper", "w") as leader:
        try:
            fcntl.flock(leader, fcntl.LOCK_EX | fcntl.LOCK_NB)  # no sweeper leads
        except BlockingIOError as error:
            raise NotPossible(IN_USE) from error
        with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            try:
                connection.execute("BEGIN IMMEDIATE")  # takes the lock of the file, which each open connection shares
                connection.execute("ROLLBACK")
            except sqlite3.OperationalError as error:
                raise NotPossible(IN_USE) from error
            yield connection


def rewrite(database: Path) -> None:
    """Write the file anew, without unused pages and with incremental vacuum. Raises NotPossible.

    It has the database for itself: another connection would not notice that the form of the file has changed.
    """
    with alone(database) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
