"""Ready-made tasks on their way into the database: collected in a temporary file, so that the transaction is short.

Everything that takes time (parsing, content keys, the search for duplicates) happens before the transaction begins.
The transaction only copies the rows, a few megabytes at a time; no more than that is ever in memory.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from types import TracebackType
from typing import Any

import orjson
import psycopg2
from sqlalchemy import Connection, insert
from sqlalchemy.exc import DBAPIError

from app import db
from app.domain.answer.endpoints import endpoint_of
from app.domain.connection.abilities import LINES, Target
from app.domain.content_keys import key_of_line
from app.domain.leases import TaskKind
from app.models import ReadyTarget
from app.services.input.bad_lines import BadLine, cut

CHUNK_ROWS = 10_000
CHUNK_BYTES = 4 * 1024 * 1024  # a statement with so many bytes ends well within the statement timeout
CACHE_KIB = 32 * 1024
_COLUMNS = ("custom_id", "method", "url", "body", "content_key", "target")
_INTO = f"ready_tasks (batch_id, number, {', '.join(_COLUMNS)})"
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
MOST_TARGETS = 1_000  # pairs of endpoint and model of one batch
LONGEST_MODEL = 200  # a longer name is no name of a model
_MANY = f"has one more pair of endpoint and model than a batch may have, which is {MOST_TARGETS:,}"
Numbered = tuple[int, Mapping[str, Any]]


class ReadyTasks:
    """Ready-made tasks in the order of their lines, each custom_id once, in a private temporary file.

    `key` makes the content key of a line. For one thread; a context manager, which deletes the file.
    """

    def __init__(self, key: Callable[[Mapping[str, Any]], str] = key_of_line) -> None:
        self._key = key
        self._file = sqlite3.connect("", isolation_level=None)  # private, unlinked: a crash leaves nothing
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}"):
            self._file.execute(f"PRAGMA {pragma}")
        self._file.execute(
            "CREATE TABLE lines (line INTEGER PRIMARY KEY, custom_id TEXT NOT NULL UNIQUE, method, url, body,"
            " content_key, target)"
        )
        self._file.execute("BEGIN")
        self.count = 0
        self._targets: dict[Target, int] = {}

    def __enter__(self) -> "ReadyTasks":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, lines: Sequence[Numbered]) -> dict[int, BadLine]:
        """Add lines; return the numbers of those that are left out, each with the reason.

        A line is left out if an earlier one has its custom_id, or if the batch would need too much of its workers.
        """
        targets = {number: self._target(line) for number, line in lines}
        left_out = {number: BadLine(_MANY) for number, target in targets.items() if target is None}
        rows = [
            (
                number,
                line["custom_id"],
                line["method"],
                line["url"],
                orjson.dumps(line["body"]),
                self._key(line),
                targets[number],
            )
            for number, line in lines
            if number not in left_out
        ]
        before = self._file.total_changes
        self._file.executemany("INSERT OR IGNORE INTO lines VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        added = self._file.total_changes - before
        self.count += added
        if added < len(rows):
            left_out |= {row[0]: reason for row in rows if (reason := self._same_name(row[0], row[1]))}
        return left_out

    def _target(self, line: Mapping[str, Any]) -> int | None:
        """Number what a line needs of a worker, from 1 in the order of the lines; None if there are too many."""
        target = target_of(line)
        if target not in self._targets and len(self._targets) >= MOST_TARGETS:
            return None
        return self._targets.setdefault(target, len(self._targets) + 1)

    def _same_name(self, number: int, custom_id: str) -> BadLine | None:
        first = self._file.execute("SELECT line FROM lines WHERE custom_id = ?", (custom_id,)).fetchone()[0]
        if first == number:
            return None
        message = f"custom_id {cut(repr(custom_id))} is on line {first} already"
        return BadLine(message, "duplicate_custom_id", "custom_id")

    def write(self, connection: Connection, batch_id: int) -> None:
        """Copy the tasks into a batch, numbered from 1, within the caller's transaction."""
        targets = [
            {"batch_id": batch_id, "number": number, "endpoint": target.endpoint, "model": target.model}
            for target, number in self._targets.items()
        ]
        if targets:
            connection.execute(insert(db.table_of(ReadyTarget)), targets)
        write = _copy if db.is_postgresql(connection) else _insert
        for rows in self._chunks():
            write(connection, batch_id, rows)

    def _chunks(self) -> Iterator[list[Any]]:
        """Iterate over the rows, with their new numbers, in portions that fit into memory."""
        rows: list[Any] = []
        size = 0
        found = self._file.execute(f"SELECT {', '.join(_COLUMNS)} FROM lines ORDER BY line")
        for number, (custom_id, method, url, body, key, target) in enumerate(found, 1):
            rows.append((number, custom_id, method, url, body.decode(), key, target))
            size += len(body)
            if size >= CHUNK_BYTES or len(rows) >= CHUNK_ROWS:
                yield rows
                rows, size = [], 0
        if rows:
            yield rows


def target_of(line: Mapping[str, Any]) -> Target:
    """Find what a line needs of a worker: its endpoint and its model, which is empty where the line names none."""
    model = line["body"].get("model")
    is_name = isinstance(model, str) and len(model) <= LONGEST_MODEL and "\0" not in model
    return Target(TaskKind.ANALYZE, LINES, model if is_name else "", endpoint_of(line["url"]))


def _insert(connection: Connection, batch_id: int, rows: list[Any]) -> None:
    values = [(batch_id, *row) for row in rows]
    connection.exec_driver_sql(f"INSERT INTO {_INTO} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def _copy(connection: Connection, batch_id: int, rows: list[Any]) -> None:
    text = "".join(
        f"{batch_id}\t{number}\t" + "\t".join([each.translate(_ESCAPED) for each in texts]) + f"\t{target}\n"
        for number, *texts, target in rows
    )
    cursor: Any = connection.connection.cursor()
    try:
        with cursor:
            cursor.copy_expert(f"COPY {_INTO} FROM STDIN", BytesIO(text.encode()))
    except psycopg2.Error as error:  # raised by the driver itself: wrap it as SQLAlchemy does
        raise DBAPIError.instance("COPY", None, error, psycopg2.Error) from error
