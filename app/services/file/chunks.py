"""The bytes of files: written as they come and read as they are sent, a megabyte in memory."""

from collections.abc import Iterator
from itertools import count

from sqlalchemy import Connection, Engine, bindparam, insert, select

from app import db
from app.db import reading, transaction
from app.errors import TooLarge
from app.models import FileChunk, FilePart

CHUNK_BYTES = 256 * 1024
TOGETHER_BYTES = 4 * CHUNK_BYTES  # written by one transaction; the driver makes several copies of them
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
        rows = [{"part_id": self.part_id, "number": next(self._numbers), "data": piece} for piece in pieces]
        with transaction(self._engine) as connection:
            connection.execute(insert(_chunks), rows)


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
