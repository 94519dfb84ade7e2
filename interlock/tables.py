"""Results as tables of Arrow: the columns, and portions of rows that are written one after the other."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

PORTION_ROWS, PORTION_BYTES = 2_000, 8 * 1024 * 1024
NEEDS = "This needs pyarrow and pandas: install the extra `parquet`, as in pip install 'interlock-client[parquet]'."
TEXTS = ("task_id", "custom_id", "prompt", "connection", "model", "status", "reused_from", "finished_at")
NUMBERS = ("input_tokens", "output_tokens", "unpriced_calls")


class Portion:
    """Collects rows until they are many or large, and then gives them to `take`."""

    def __init__(self, take: Callable[[list[dict[str, Any]]], None]) -> None:
        self._take = take
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, line: bytes) -> None:
        """Add a line of results."""
        self._rows.append(row_of(json.loads(line)))
        self._bytes += len(line)
        if len(self._rows) >= PORTION_ROWS or self._bytes >= PORTION_BYTES:
            self.flush()

    def flush(self) -> None:
        """Give away what is there."""
        if self._rows:
            self._take(self._rows)
        self._rows, self._bytes = [], 0


def row_of(line: dict[str, Any]) -> dict[str, Any]:
    """Make a flat row of a line of results; the whole result and error are JSON texts."""
    usage, result, error = line.get("usage") or {}, line.get("result"), line.get("error")
    document = line.get("document") or {}
    text = result.get("text") if result else None
    return {
        **{name: line.get(name) for name in TEXTS},
        "document_id": document.get("id"),
        "document": document.get("name"),
        "run": line.get("run"),
        "attempt": line.get("attempt"),
        "part": line.get("part"),
        "parts": line.get("parts"),
        "truncated": line.get("truncated"),
        "text": text if isinstance(text, str) else None,
        "result": None if result is None else json.dumps(result, ensure_ascii=False),
        "error": None if error is None else json.dumps(error, ensure_ascii=False),
        **{name: usage.get(name) for name in NUMBERS},
        "cost": usage.get("cost"),
        "latency_ms": usage.get("latency_ms"),
    }


def _schema() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(NEEDS) from error
    text, number, share = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
    return pyarrow.schema(
        [
            *((name, text) for name in TEXTS),
            ("document_id", number), ("document", text), ("run", number), ("attempt", number),
            ("part", number), ("parts", number),
            ("truncated", pyarrow.bool_()), ("text", text), ("result", text), ("error", text),
            *((name, number) for name in NUMBERS),
            ("cost", share), ("latency_ms", share),
        ]
    )  # fmt: skip


@contextmanager
def parquet_file(path: Path) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    """Yield what writes rows to a Parquet file. It has its name only when it is whole."""
    schema = _schema()
    from pyarrow import RecordBatch, parquet

    draft = path.with_name(f".{path.name}.part")
    try:
        with parquet.ParquetWriter(draft, schema) as writer:
            yield lambda rows: writer.write_batch(RecordBatch.from_pylist(rows, schema))
        draft.replace(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


@contextmanager
def table() -> Iterator[tuple[Callable[[list[dict[str, Any]]], None], Callable[[], "pandas.DataFrame"]]]:
    """Yield what adds rows to a table, and what makes the table of pandas of them."""
    schema = _schema()
    from pyarrow import RecordBatch, Table

    portions: list[Any] = []

    def made() -> "pandas.DataFrame":
        return Table.from_batches(portions, schema).to_pandas()

    yield lambda rows: portions.append(RecordBatch.from_pylist(rows, schema)), made
