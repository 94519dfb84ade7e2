"""Rows of ready-made tasks on their way into the database: text as COPY of PostgreSQL reads it, in a temporary file.

PostgreSQL gets the text as it is, each row with the batch's id before it. SQLite gets values, which are read from it.
"""

import re
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from typing import Any, NamedTuple

import psycopg2
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app import db

_INTO = "ready_tasks (batch_id, number, custom_id, method, url, body, content_key, target)"
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_CHARACTERS = {written: character for character, written in _ESCAPES.items()}
_ESCAPED = re.compile(r"\\[\\tnr]")


class ReadyRow(NamedTuple):
    """A row without its batch and its number. `body` is JSON; `key` is the content key."""

    custom_id: str
    method: str
    url: str
    body: bytes
    key: str
    target: int


class ReadyRows:
    """Rows, numbered from 1, in portions that are each written by one statement. For one thread."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._sizes: list[int] = []  # of the portions, in bytes
        self.count = 0

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def add(self, portion: list[ReadyRow]) -> None:
        """Add a portion of rows, which is in memory at once."""
        rows = [
            b"%d\t%b\t%b\t%b\t%b\t%b\t%d\n"
            % (
                number,
                _escaped(row.custom_id),
                _escaped_once(row.method),
                _escaped_once(row.url),
                row.body.replace(b"\\", b"\\\\"),  # JSON has no other character that COPY reads differently
                row.key.encode(),
                row.target,
            )
            for number, row in enumerate(portion, self.count + 1)
        ]
        self._sizes.append(self._file.write(b"".join(rows)))
        self.count += len(rows)

    def custom_ids(self) -> Iterator[list[str]]:
        """Iterate over the custom_ids, a portion at a time."""
        return ([row[1] for row in _values(text)] for text in self._portions())

    def write(self, connection: Connection, batch_id: int) -> None:
        """Copy the rows into a batch, within the caller's transaction."""
        write = _copy if db.is_postgresql(connection) else _insert
        for portion in self._portions():
            write(connection, batch_id, portion)

    def _portions(self) -> Iterator[bytes]:
        self._file.seek(0)
        yield from map(self._file.read, self._sizes)


def _copy(connection: Connection, batch_id: int, portion: bytes) -> None:
    begin = b"%d\t" % batch_id
    text = begin + portion[:-1].replace(b"\n", b"\n" + begin)
    cursor: Any = connection.connection.cursor()
    try:
        with cursor:
            cursor.copy_expert(f"COPY {_INTO} FROM STDIN", BytesIO(text), len(text))
    except psycopg2.Error as error:  # raised by the driver itself: wrap it as SQLAlchemy does
        raise DBAPIError.instance("COPY", None, error, psycopg2.Error) from error


def _insert(connection: Connection, batch_id: int, portion: bytes) -> None:
    sql = f"INSERT INTO {_INTO} VALUES ({batch_id}, ?, ?, ?, ?, ?, ?, ?)"
    connection.exec_driver_sql(sql, [tuple(row) for row in _values(portion)])


def _values(portion: bytes) -> Iterator[list[str]]:
    """Read the values of each row."""
    for row in portion[:-1].decode().split("\n"):
        values = row.split("\t")
        if "\\" in row:
            values[1:4] = map(_read, values[1:4])
            values[4] = values[4].replace("\\\\", "\\")
        yield values


def _escaped(text: str) -> bytes:
    """Write a text as COPY reads it."""
    for character, written in _ESCAPES.items():
        text = text.replace(character, written)
    return text.encode()


_escaped_once = lru_cache(maxsize=100)(_escaped)


def _read(text: str) -> str:
    """Read a text that `_escaped` wrote."""
    return _ESCAPED.sub(lambda found: _CHARACTERS[found[0]], text) if "\\" in text else text
