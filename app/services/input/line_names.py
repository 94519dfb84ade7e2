"""The custom_ids of lines: whether one of them is used twice, and on which lines.

Of each line 12 bytes are in memory, a hash of its custom_id and its number. Only if two hashes are equal are the
custom_ids themselves compared, in a private file.
"""

import sqlite3
from array import array
from collections.abc import Iterable, Iterator
from contextlib import closing

from app.services.input.bad_lines import BadLine, cut

_COMPARED = 250_000  # hashes that are in a set at once
_CACHE_KIB = 32 * 1024
Names = Iterable[str]


class LineNames:
    """The hashes of the custom_ids, and the numbers of the lines, in their order."""

    def __init__(self) -> None:
        self._hashes = array("q")
        self._numbers = array("I")

    def add(self, names: Names, numbers: Iterable[int]) -> None:
        """Add the custom_ids of the next lines."""
        self._hashes.extend(map(hash, names))
        self._numbers.extend(numbers)

    def repeated(self, portions: Iterable[Names]) -> Iterator[dict[int, BadLine]]:
        """Iterate over the lines whose custom_id an earlier line has; `portions` is all custom_ids in their order."""
        if self._may_repeat():
            yield from self._compare(portions)

    def _may_repeat(self) -> bool:
        """Whether two hashes are equal: looked for among those with the same remainder, to save memory."""
        parts = 1 + len(self._hashes) // _COMPARED
        for remainder in range(parts):
            part = [each for each in self._hashes if each % parts == remainder] if parts > 1 else self._hashes
            if len(set(part)) < len(part):
                return True
        return False

    def _compare(self, portions: Iterable[Names]) -> Iterator[dict[int, BadLine]]:
        numbers = iter(self._numbers)
        with closing(sqlite3.connect("", isolation_level=None)) as file:  # unlinked: a crash leaves nothing
            for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
                file.execute(f"PRAGMA {pragma}")
            file.execute("CREATE TABLE names (custom_id TEXT PRIMARY KEY, line) WITHOUT ROWID")
            file.execute("BEGIN")
            for names in portions:
                lines = list(zip(names, numbers))  # noqa: B905 - `numbers` goes on with the next portion
                before = file.total_changes
                file.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", lines)
                if file.total_changes - before < len(lines):
                    yield {line: reason for name, line in lines if (reason := _same_name(file, line, name))}


def _same_name(file: sqlite3.Connection, number: int, custom_id: str) -> BadLine | None:
    first = file.execute("SELECT line FROM names WHERE custom_id = ?", (custom_id,)).fetchone()[0]
    if first == number:
        return None
    message = f"custom_id {cut(repr(custom_id))} is on line {first} already"
    return BadLine(message, "duplicate_custom_id", "custom_id")
