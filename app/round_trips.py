"""psycopg2 with fewer round trips to PostgreSQL: what need not be sent at once goes along with the next statement.

1. BEGIN goes along with the first statement of a transaction. psycopg2 would send it by itself, and wait.
2. A write with the execution option `later=True` goes along with the next statement, or with COMMIT. Nobody learns how
   many rows it wrote; if it fails, the next statement or the commit raises its error.

For psycopg2 these connections are in autocommit mode: they begin, commit and roll back by themselves. For SQLAlchemy
they are as any other.
"""

import codecs
from typing import Any

from psycopg2 import Error, extensions
from sqlalchemy import Engine, event

OPTION = "later"
MOST_LATER = 256 * 1024  # bytes of a statement that waits for the next one
# psycopg2 decodes the name of each column by Python's function for UTF-8. That of C, which it calls, costs less.
_UTF8 = "utf_8_of_c"
codecs.register(lambda name: codecs.CodecInfo(codecs.utf_8_encode, codecs.utf_8_decode) if name == _UTF8 else None)
extensions.encodings["UTF8"] = _UTF8
_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED"
_COMMIT = b"COMMIT"
_IDLE = extensions.TRANSACTION_STATUS_IDLE
_driver_autocommit: Any = extensions.connection.autocommit


class OneTripConnection(extensions.connection):
    """A connection for `connection_factory` of psycopg2."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        _driver_autocommit.__set__(self, True)
        self.cursor_factory = OneTripCursor
        self.is_pooled = False  # behind a pooler: see app/poolers.py
        self.settings: list[bytes] = []  # that go along with the first statement of each transaction, likewise
        self.prepared: set[str] = set()  # names: see app/prepared_statements.py
        self._later: list[bytes] = []
        self._begins = True

    @property
    def autocommit(self) -> bool:
        return not self._begins

    @autocommit.setter
    def autocommit(self, autocommit: bool) -> None:
        self._begins = not autocommit

    def set_isolation_level(self, level: int | None) -> None:
        """Take READ COMMITTED, or AUTOCOMMIT: no transactions."""
        self._begins = level != extensions.ISOLATION_LEVEL_AUTOCOMMIT

    def send_later(self, statement: bytes) -> None:
        """Send this along with the next statement."""
        self._later.append(statement)

    def commit_with_next(self) -> None:
        """Send COMMIT along with the next statement, which then is in no transaction."""
        self._later.append(_COMMIT)

    def take_unsent(self) -> list[bytes]:
        """What has to be sent before the next statement, as statements; it is taken once."""
        first: list[bytes] = []
        if self.get_transaction_status() == _IDLE:
            first = [_BEGIN, *self.settings] if self._begins else self.settings
        later, self._later = self._later, []
        return first + later

    def commit(self) -> None:
        """Commit. If what goes along with COMMIT fails, the transaction is rolled back, as after a failed COMMIT."""
        if self._later[-1:] == [_COMMIT]:  # there was no next statement
            self._later.pop()
        if not self._later and self.get_transaction_status() == _IDLE:
            return
        try:
            self._end("COMMIT")
        except Error:
            if not self.closed:
                self.rollback()
            raise

    def rollback(self) -> None:
        self._later = []
        if self.get_transaction_status() != _IDLE:
            self._end("ROLLBACK")

    def _end(self, statement: str) -> None:
        with self.cursor() as cursor:
            cursor.execute(statement)


class OneTripCursor(extensions.cursor):
    """A cursor of these connections: each `send` is one round trip."""

    connection: OneTripConnection
    send = extensions.cursor.execute

    def execute(self, query: Any, vars: Any = None) -> None:
        if unsent := self.connection.take_unsent():
            query, vars = b"; ".join([*unsent, self.mogrify(query, vars)]), None
        self.send(query, vars)

    def execute_later(self, query: Any, vars: Any = None) -> None:
        """Execute it along with the next statement; what is long is sent at once, so that no more of it is kept."""
        statement = self.mogrify(query, vars)
        if len(statement) > MOST_LATER:
            self.execute(statement)
        else:
            self.connection.send_later(statement)

    def executemany(self, query: Any, vars_list: Any) -> None:
        self._send_unsent()
        super().executemany(query, vars_list)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        self._send_unsent()
        super().copy_expert(sql, file, size)

    def _send_unsent(self) -> None:
        if unsent := self.connection.take_unsent():
            self.send(b"; ".join(unsent))


def listen(engine: Engine) -> None:
    """Make a PostgreSQL engine of OneTripConnections obey the execution option `later`."""
    event.listen(engine, "do_execute", _execute)


def _execute(cursor: OneTripCursor, statement: str, parameters: Any, context: Any) -> bool:
    is_later = bool(context.execution_options.get(OPTION))
    if is_later:
        cursor.execute_later(statement, parameters)
    return is_later  # SQLAlchemy executes what is not
