"""The bytes of files: written as they come and read as they are sent, a megabyte in memory."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import count
from struct import Struct
from typing import Any

import psycopg2
from sqlalchemy import Connection, Engine, bindparam, insert, select
from sqlalchemy.exc import DBAPIError

from app import db
from app.db import reading, transaction
from app.errors import TooLarge
from app.models import FileChunk, FilePart

CHUNK_BYTES = 256 * 1024
TOGETHER_BYTES = 4 * CHUNK_BYTES  # written by one transaction
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # without flags and without an extension
_COPY_ROW = Struct(">hiqiii")  # the number of columns; then each column with its length before it
_COPY_END = b"\xff\xff"
Numbered = Sequence[tuple[int, bytes]]
_chunks = db.table_of(FileChunk)
_PARTS = select(FilePart.id).where(FilePart.file_id == bindparam("file_id")).order_by(FilePart.number)
_CHUNK = select(_chunks.c.data).where(
    _chunks.c.part_id == bindparam("of_part"), _chunks.c.number == bindparam("at_number")
)


class PartWriter:
    """Writes the bytes of one part, a megabyte a transaction. Call `flush` after the last byte."""

    def __init__(self, engine: Engine, part_id: int, most_bytes: int | None = None) -> None:
        self.part_id = part_id
        self.size_bytes = 0
        self._engine = engine
        self._most_bytes = most_bytes
        self._numbers = count(1)
        self._buffer = bytearray()

    def write(self, data: bytes) -> None:
        """Append bytes. Raises TooLarge beyond `most_bytes`."""
        self.size_bytes += len(data)
        if self._most_bytes is not None and self.size_bytes > self._most_bytes:
            raise TooLarge(f"The file is larger than {self._most_bytes} bytes.")
        self._buffer += data
        if len(self._buffer) >= TOGETHER_BYTES:
            self._store(len(self._buffer) // CHUNK_BYTES * CHUNK_BYTES)

    def flush(self) -> None:
        """Store the bytes that are left."""
        if self._buffer:
            self._store(len(self._buffer))

    def _store(self, amount: int) -> None:
        with memoryview(self._buffer) as view:
            pieces = [bytes(view[at : min(at + CHUNK_BYTES, amount)]) for at in range(0, amount, CHUNK_BYTES)]
        del self._buffer[:amount]
        numbered = [(next(self._numbers), piece) for piece in pieces]
        with transaction(self._engine) as connection:
            (_copy if db.is_postgresql(connection) else _insert)(connection, self.part_id, numbered)


def _insert(connection: Connection, part_id: int, pieces: Numbered) -> None:
    rows = [{"part_id": part_id, "number": number, "data": piece} for number, piece in pieces]
    connection.execute(insert(_chunks), rows)


def _copy(connection: Connection, part_id: int, pieces: Numbered) -> None:
    """Copy in PostgreSQL's binary form: an INSERT would hold each byte several times, as digits."""
    data = BytesIO()
    data.write(_COPY_HEADER)
    for number, piece in pieces:
        data.write(_COPY_ROW.pack(3, 8, part_id, 4, number, len(piece)))
        data.write(piece)
    data.write(_COPY_END)
    data.seek(0)
    cursor: Any = connection.connection.cursor()
    try:
        with cursor:
            cursor.copy_expert("COPY file_chunks (part_id, number, data) FROM STDIN (FORMAT binary)", data)
    except psycopg2.Error as error:  # raised by the driver itself: wrap it as SQLAlchemy does
        raise DBAPIError.instance("COPY", None, error, psycopg2.Error) from error


def part_ids(connection: Connection, file_id: int) -> list[int]:
    """List the parts of a file, in order."""
    return list(connection.execute(_PARTS, {"file_id": file_id}).scalars())


def read_parts(engine: Engine, ids: list[int]) -> Iterator[bytes]:
    """Read the bytes of parts, one after the other, a chunk at a time."""
    for part_id in ids:
        for number in count(1):
            with reading(engine) as connection:
                data = connection.execute(_CHUNK, {"of_part": part_id, "at_number": number}).scalar_one_or_none()
            if data is None:
                break
            yield bytes(data)
