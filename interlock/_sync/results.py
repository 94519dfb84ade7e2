# Written by `python interlock/generate.py` from interlock/_async: change it there.
"""The results of a run: rows to walk, a Parquet file, or a table of pandas."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlock import tables
from interlock._sync.transport import Transport
from interlock.shapes import Result

if TYPE_CHECKING:
    import pandas


class Results:
    """The finished tasks of a run, read from the service each time that they are walked."""

    def __init__(self, transport: Transport, batch_id: int, run: int | None) -> None:
        self._transport = transport
        self._path = f"/api/batches/{batch_id}/results"
        self._run = run

    def __iter__(self) -> Iterator[Result]:
        for line in self.lines():
            row: Result = json.loads(line)
            yield row

    def lines(self, form: str | None = None) -> Iterator[bytes]:
        """Walk the lines as they are sent; `form` is `ndjson`, `openai` or `openai-errors`."""
        for line in self._transport.lines(self._path, {"run": self._run, "format": form}):
            yield line

    def to_parquet(self, path: str | Path) -> int:
        """Write the results as a Parquet file and return how many there are. One portion is in memory at a time.

        The file is there only when it is whole. Needs pyarrow: install the extra `parquet`.
        """
        with tables.parquet_file(Path(path)) as write:
            return self._portions(write)

    def to_pandas(self) -> "pandas.DataFrame":
        """Read all results into a table of pandas. Needs the extra `parquet`."""
        with tables.table() as (add, made):
            self._portions(add)
        return made()

    def _portions(self, take: Any) -> int:
        portion, amount = tables.Portion(take), 0
        for line in self.lines():
            portion.add(line)
            amount += 1
        portion.flush()
        return amount
