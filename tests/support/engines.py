"""Engines that are used again: each keeps what SQLAlchemy has compiled, which takes longer than most tests.

On PostgreSQL an engine that a test gives back keeps a few connections, too: a new one costs the server 20 ms, until it
has read its catalogs and planned the first statements.
"""

from collections import defaultdict
from collections.abc import Hashable
from typing import Any
from weakref import WeakKeyDictionary

import psycopg2
from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from app import db
from config import Config

MOST_OF_AN_ENGINE, MOST_OF_A_DATABASE = 2, 8  # connections that are kept

_make_engine = db.make_engine
_idle: dict[Hashable, list[Engine]] = defaultdict(list)
_lent: WeakKeyDictionary[Engine, list[Engine]] = WeakKeyDictionary()  # views in use, and where their engine goes
_kept: dict[str, list[Engine]] = {}  # idle engines with connections, by the URL of each database that is used again


def engine_for(config: Config) -> Engine:
    """Make an engine, or take one with the same settings that is idle: as db.make_engine, with the work done.

    Its listeners are new: they stand on a view of the engine which only the caller has. So are its connections, if it
    was disposed of; `give_back` keeps some.
    """
    idle = _idle[config, db.SQLITE_WAIT_SECONDS, db.STATEMENT_TIMEOUT_MS]
    engine = idle.pop() if idle else _make_engine(config)
    kept = _kept.get(config.database_url, [])
    if engine in kept:
        kept.remove(engine)
    view = engine.execution_options(test_database=config.database_url)
    _lent[view] = idle

    def disposed(_: Engine) -> None:
        if _lent.pop(view, None) is not None:
            idle.append(engine)

    event.listen(view, "engine_disposed", disposed)
    return view


def give_back(view: Engine) -> None:
    """Dispose of an engine that `engine_for` made, but keep connections for the next test, if its database has one."""
    kept = _kept.get(view.get_execution_options().get("test_database", ""))
    lent: Any = view
    if kept is None or lent.pool.checkedout() or view not in _lent:
        view.dispose()
        return
    room = MOST_OF_A_DATABASE - sum(len(_records(each)) for each in kept)
    engine: Engine = lent._proxied
    for record in _records(engine)[max(0, min(room, MOST_OF_AN_ENGINE)) :]:
        record.close()  # it connects again when it is used
    kept.append(engine)
    _lent.pop(view).append(engine)


def keep_connections(url: str) -> None:
    """Keep connections to a database from now on: the caller sees to it that it is as new for each test."""
    _kept.setdefault(url, [])


def keep_none(url: str) -> None:
    """Close what is kept of connections to a database that is not used again."""
    for engine in _kept.pop(url, []):
        engine.dispose()


def kept_backends(url: str) -> list[int]:
    """List the server's processes that serve connections which are kept."""
    return [_backend(record) for engine in _kept.get(url, []) for record in _records(engine)]


def close_dead(url: str) -> None:
    """Close what is kept of connections that a test has ended. One whose end is under way does not answer either."""
    for engine in _kept.get(url, []):
        for record in _records(engine):
            if not _answers(record):
                record.close()


def _answers(record: ConnectionPoolEntry) -> bool:
    connection: Any = record.dbapi_connection
    try:
        with connection.cursor() as cursor:
            cursor.send("SELECT 1")  # without a transaction
    except psycopg2.Error:
        return False
    return True


def _records(engine: Engine) -> list[ConnectionPoolEntry]:
    """List the open connections that lie in the pool of an engine."""
    pool: Any = engine.pool  # a QueuePool
    return [record for record in pool._pool.queue if record.dbapi_connection is not None]


def _backend(record: ConnectionPoolEntry) -> int:
    connection: Any = record.dbapi_connection
    return int(connection.info.backend_pid)
