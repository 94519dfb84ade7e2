"""Rows of ready-made tasks on their way into the database: text as COPY of PostgreSQL reads it, in a temporary file.

PostgreSQL gets the text as it is, each row with the batch's id before it. SQLite gets values, which are read from it.
"""

import re
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from itertools import islice
from typing import Any

import psycopg2
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app import db

PORTION_ROWS, PORTION_BYTES = 1_000, 4 * 1024 * 1024  # written by one statement; a single row may have more bytes
INSERTED_AT_ONCE = 200  # by SQLite: the values of so many rows stay in the processor's cache
_INTO = "ready_tasks (batch_id, number, custom_id, method, url, body, content_key, target)"
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_CHARACTERS = {written: character for character, written in _ESCAPES.items()}
_ESCAPED = re.compile(r"\\[\\tnr]")


# A row without its batch and its number: custom_id, method, url, the body as JSON, content key, target.
ReadyRow = tuple[str, str, str, bytes, str, int]


class ReadyRows:
    """Rows, numbered from 1, in portions that are each written by one statement. For one thread."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._sizes: list[tuple[int, int]] = []  # of the portions, in rows and bytes
        self.count = 0

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def add(self, rows: list[ReadyRow]) -> None:
        """Add rows, to the last portion if they fit into it."""
        for begin in range(0, len(rows), PORTION_ROWS):
            part = rows[begin : begin + PORTION_ROWS]
            size = self._file.write(self._written(part))
            self.count += len(part)
            last_rows, last_size = self._sizes[-1] if self._sizes else (0, 0)
            if self._sizes and last_rows + len(part) <= PORTION_ROWS and last_size + size <= PORTION_BYTES:
                self._sizes[-1] = (last_rows + len(part), last_size + size)
            else:
                self._sizes.append((len(part), size))

    def _written(self, rows: list[ReadyRow]) -> bytes:
        return b"".join(
            b"%d\t%b\t%b\t%b\t%b\t%b\t%d\n"
            % (
                number,
                _escaped(custom_id),
                _escaped_once(method),
                _escaped_once(url),
                body.replace(b"\\", b"\\\\"),  # JSON has no other character that COPY reads differently
                key.encode(),
                target,
            )
            for number, (custom_id, method, url, body, key, target) in enumerate(rows, self.count + 1)
        )

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
        for _, size in self._sizes:
            yield self._file.read(size)


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
    rows = map(tuple, _values(portion))
    while some := list(islice(rows, INSERTED_AT_ONCE)):
        connection.exec_driver_sql(sql, some)


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
    if text.isprintable() and "\\" not in text:  # as nearly every text is
        return text.encode()
    for character, written in _ESCAPES.items():
        text = text.replace(character, written)
    return text.encode()


_escaped_once = lru_cache(maxsize=100)(_escaped)


def _read(text: str) -> str:
    """Read a text that `_escaped` wrote."""
    return _ESCAPED.sub(lambda found: _CHARACTERS[found[0]], text) if "\\" in text else text
