"""Ready-made tasks on their way into the database: collected in temporary files, so that the transaction is short.

Everything that takes time (parsing, content keys, the search for duplicates) happens before the transaction begins.
The transaction only copies the rows, a few megabytes at a time; no more than that is ever in memory.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
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

PORTION_ROWS = 1_000  # written by one statement
CACHE_KIB = 32 * 1024
_COLUMNS = ("custom_id", "method", "url", "body", "content_key", "target")
_INTO = f"ready_tasks (batch_id, number, {', '.join(_COLUMNS)})"
MOST_TARGETS = 1_000  # pairs of endpoint and model of one batch
LONGEST_MODEL = 200  # a longer name is no name of a model
_MANY = f"has one more pair of endpoint and model than a batch may have, which is {MOST_TARGETS:,}"
Numbered = tuple[int, Mapping[str, Any]]


class ReadyTasks:
    """Ready-made tasks in the order of their lines, each custom_id once, in private temporary files.

    `key` makes the content key of a line. For one thread; a context manager, which deletes the files.
    """

    def __init__(self, key: Callable[[Mapping[str, Any]], str] = key_of_line) -> None:
        self._key = key
        self._portions = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._names = sqlite3.connect("", isolation_level=None)  # private, unlinked: a crash leaves nothing
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}"):
            self._names.execute(f"PRAGMA {pragma}")
        self._names.execute("CREATE TABLE names (custom_id TEXT PRIMARY KEY, line) WITHOUT ROWID")
        self._names.execute("BEGIN")
        self.count = 0
        self._targets: dict[Target, int] = {}

    def __enter__(self) -> "ReadyTasks":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._names.close()
        self._portions.close()

    def add(self, lines: Sequence[Numbered]) -> dict[int, BadLine]:
        """Add lines; return the numbers of those that are left out, each with the reason.

        A line is left out if an earlier one has its custom_id, or if the batch would need too much of its workers.
        """
        targets = [self._target(line) for _, line in lines]
        left_out = {
            number: BadLine(_MANY) for (number, _), target in zip(lines, targets, strict=True) if target is None
        }
        names = [(line["custom_id"], number) for number, line in lines if number not in left_out]
        before = self._names.total_changes
        self._names.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", names)
        if self._names.total_changes - before < len(names):
            left_out |= {number: reason for name, number in names if (reason := self._same_name(number, name))}
        rows = [
            (
                line["custom_id"],
                line["method"],
                line["url"],
                orjson.dumps(line["body"]).decode(),
                self._key(line),
                target,
            )
            for (number, line), target in zip(lines, targets, strict=True)
            if number not in left_out
        ]
        for begin in range(0, len(rows), PORTION_ROWS):
            self._portions.write(orjson.dumps(rows[begin : begin + PORTION_ROWS]) + b"\n")
        self.count += len(rows)
        return left_out

    def _target(self, line: Mapping[str, Any]) -> int | None:
        """Number what a line needs of a worker, from 1 in the order of the lines; None if there are too many."""
        target = target_of(line)
        if target not in self._targets and len(self._targets) >= MOST_TARGETS:
            return None
        return self._targets.setdefault(target, len(self._targets) + 1)

    def _same_name(self, number: int, custom_id: str) -> BadLine | None:
        first = self._names.execute("SELECT line FROM names WHERE custom_id = ?", (custom_id,)).fetchone()[0]
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
        number = 1
        for rows in self._rows():
            write(connection, batch_id, number, rows)
            number += len(rows)

    def _rows(self) -> Iterator[list[Any]]:
        """Iterate over the rows, a portion at a time."""
        self._portions.seek(0)
        left = self.count
        while left:
            rows: list[Any] = orjson.loads(self._portions.readline())
            yield rows
            left -= len(rows)


def target_of(line: Mapping[str, Any]) -> Target:
    """Find what a line needs of a worker: its endpoint and its model, which is empty where the line names none."""
    model = line["body"].get("model")
    is_name = isinstance(model, str) and len(model) <= LONGEST_MODEL and "\0" not in model
    return _target(line["url"], model if is_name else "")


@lru_cache(MOST_TARGETS)
def _target(url: str, model: str) -> Target:
    return Target(TaskKind.ANALYZE, LINES, model, endpoint_of(url))


def _insert(connection: Connection, batch_id: int, first: int, rows: list[Any]) -> None:
    values = [(batch_id, number, *row) for number, row in enumerate(rows, first)]
    connection.exec_driver_sql(f"INSERT INTO {_INTO} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def _copy(connection: Connection, batch_id: int, first: int, rows: list[Any]) -> None:
    text = "".join(
        f"{batch_id}\t{number}\t{_escaped(name)}\t{_escaped(method)}\t{_escaped(url)}\t{_escaped(body)}\t{key}\t{target}\n"
        for number, (name, method, url, body, key, target) in enumerate(rows, first)
    )
    cursor: Any = connection.connection.cursor()
    try:
        with cursor:
            cursor.copy_expert(f"COPY {_INTO} FROM STDIN", BytesIO(text.encode()))
    except psycopg2.Error as error:  # raised by the driver itself: wrap it as SQLAlchemy does
        raise DBAPIError.instance("COPY", None, error, psycopg2.Error) from error


def _escaped(text: str) -> str:
    """Write a text as COPY reads it."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
