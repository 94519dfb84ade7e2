"""Gives the space of deleted rows back to the disk: on SQLite. On PostgreSQL, autovacuum does what can be done.

A new database is made with incremental vacuum: pages that are no longer used are given back in slices. The file of an
older database keeps its size, until it is written anew (app.server.sqlite_file).
"""

from typing import Any

from sqlalchemy import Engine

from app.db import SQLITE_WAIT_SECONDS, reading, transaction

PAGES = 500  # in one transaction, of 4 KiB each
_INCREMENTAL = 2


def can_give_back(engine: Engine) -> bool:
    """Whether unused pages can be given back while the database is in use."""
    return engine.dialect.name == "sqlite" and _pragma(engine, "auto_vacuum") == _INCREMENTAL


def give_back(engine: Engine) -> int:
    """Give unused pages back, in one short transaction; return how many. SQLite only."""
    with transaction(engine) as connection:
        before: int = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
        if before:
            cursor: Any = connection.connection.cursor()
            cursor.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()  # each row fetched is a page given back
            cursor.close()
        return before - int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())


def empty_log(engine: Engine) -> None:
    """Move the write-ahead log of SQLite into the file and empty it: it has copies of what was deleted since.

    It waits for nobody: if others read or write, most is moved, and the next call empties it.
    """
    if engine.dialect.name != "sqlite":
        return
    with reading(engine) as connection:
        try:
            connection.exec_driver_sql("PRAGMA busy_timeout = 0")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {SQLITE_WAIT_SECONDS * 1000:.0f}")


def _pragma(engine: Engine, name: str) -> int:
    with reading(engine) as connection:
        return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
