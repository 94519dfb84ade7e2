"""Ready-made tasks on their way into the database: collected in a temporary file, so that the transaction is short.

Everything that takes time (parsing, content keys, the search for duplicates) happens before the transaction begins.
The transaction only copies the rows, a few megabytes at a time; no more than that is ever in memory.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from types import TracebackType
from typing import Any

import orjson
import psycopg2
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app import db
from app.domain.content_keys import key_of_line

CHUNK_ROWS = 10_000
CHUNK_BYTES = 4 * 1024 * 1024  # a statement with so many bytes ends well within the statement timeout
CACHE_KIB = 32 * 1024
_COLUMNS = ("custom_id", "method", "url", "body", "content_key")
_INTO = f"ready_tasks (batch_id, number, {', '.join(_COLUMNS)})"
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
Numbered = tuple[int, Mapping[str, Any]]
Twin = tuple[int, str, int]


class ReadyTasks:
    """Ready-made tasks in the order of their lines, each custom_id once, in a private temporary file.

    For one thread; a context manager, which deletes the file.
    """

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)  # private, unlinked: a crash leaves nothing
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}"):
            self._file.execute(f"PRAGMA {pragma}")
        self._file.execute(
            "CREATE TABLE lines (line INTEGER PRIMARY KEY, custom_id TEXT NOT NULL UNIQUE, method, url, body,"
            " content_key)"
        )
        self._file.execute("BEGIN")
        self.count = 0

    def __enter__(self) -> "ReadyTasks":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, lines: Sequence[Numbered]) -> list[Twin]:
        """Add lines; return those left out, whose custom_id an earlier line has: (line, custom_id, earlier line)."""
        rows = [
            (number, line["custom_id"], line["method"], line["url"], orjson.dumps(line["body"]), key_of_line(line))
            for number, line in lines
        ]
        before = self._file.total_changes
        self._file.executemany("INSERT OR IGNORE INTO lines VALUES (?, ?, ?, ?, ?, ?)", rows)
        added = self._file.total_changes - before
        self.count += added
        return [] if added == len(rows) else [twin for number, line in lines if (twin := self._twin(number, line))]

    def _twin(self, number: int, line: Mapping[str, Any]) -> Twin | None:
        custom_id = line["custom_id"]
        first = self._file.execute("SELECT line FROM lines WHERE custom_id = ?", (custom_id,)).fetchone()[0]
        return None if first == number else (number, custom_id, first)

    def write(self, connection: Connection, batch_id: int) -> None:
        """Copy the tasks into a batch, numbered from 1, within the caller's transaction."""
        write = _copy if db.is_postgresql(connection) else _insert
        for rows in self._chunks():
            write(connection, batch_id, rows)

    def _chunks(self) -> Iterator[list[Any]]:
        """Iterate over the rows, with their new numbers, in portions that fit into memory."""
        rows: list[Any] = []
        size = 0
        found = self._file.execute(f"SELECT {', '.join(_COLUMNS)} FROM lines ORDER BY line")
        for number, (custom_id, method, url, body, key) in enumerate(found, 1):
            rows.append((number, custom_id, method, url, body.decode(), key))
            size += len(body)
            if size >= CHUNK_BYTES or len(rows) >= CHUNK_ROWS:
                yield rows
                rows, size = [], 0
        if rows:
            yield rows


def _insert(connection: Connection, batch_id: int, rows: list[Any]) -> None:
    values = [(batch_id, *row) for row in rows]
    connection.exec_driver_sql(f"INSERT INTO {_INTO} VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def _copy(connection: Connection, batch_id: int, rows: list[Any]) -> None:
    text = "".join(
        f"{batch_id}\t{number}\t" + "\t".join([each.translate(_ESCAPED) for each in texts]) + "\n"
        for number, *texts in rows
    )
    cursor: Any = connection.connection.cursor()
    try:
        with cursor:
            cursor.copy_expert(f"COPY {_INTO} FROM STDIN", BytesIO(text.encode()))
    except psycopg2.Error as error:  # raised by the driver itself: wrap it as SQLAlchemy does
        raise DBAPIError.instance("COPY", None, error, psycopg2.Error) from error
