"""Leadership: one of the server processes on a database leads, by a lock that is released when the process ends."""

import fcntl
from contextlib import suppress
from typing import IO, Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.errors import Unavailable
from app.read_only import require_writable

_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext('interlock'), hashtext('sweeper'))")


class Leadership(Protocol):
    """`held` tries to become the leader and returns whether this process leads; `give_up` releases leadership."""

    def held(self) -> bool: ...
    def give_up(self) -> None: ...


class PostgresLeadership:
    """An advisory lock of a transaction that stays open until the next call: PostgreSQL releases it with the process.

    A lock of the session would outlive its holder behind a pooler. Between two of its transactions another process may
    become the leader: that does no harm.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def held(self) -> bool:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            self._connection.rollback()  # it was idle for the time of one pass; idle for much longer, it is ended
            require_writable(self._connection)
            if self._connection.execute(_LOCK).scalar_one():
                return True
        except (SQLAlchemyError, Unavailable):
            pass
        self.give_up()
        return False

    def give_up(self) -> None:
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                self._connection.close()
            self._connection = None


class FileLeadership:
    """A lock on a file next to the SQLite database: the system releases it when the process ends."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def held(self) -> bool:
        if self._file is not None:
            return True
        file = open(self._path, "w")  # noqa: SIM115 - it stays open while the lock is held
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def give_up(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def leadership(engine: Engine) -> Leadership:
    """Make the leadership for the engine's kind of database."""
    if engine.dialect.name == "postgresql":
        return PostgresLeadership(engine)
    return FileLeadership(f"{engine.url.database}.sweeper")
