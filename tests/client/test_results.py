"""Results as Parquet and as a table of pandas, and how much memory they take."""

import asyncio
import json
import tracemalloc
from pathlib import Path

import pytest
from pyarrow import parquet

from interlock import AsyncClient, Client, tables
from interlock.errors import NotFound
from tests.client.conftest import completed
from tests.support.server import LiveServer

MIB = 1024 * 1024


def test_results_are_written_as_parquet(client: Client, tmp_path: Path) -> None:
    batch_id = completed(client, "to parquet")
    path = tmp_path / "results.parquet"
    assert client.results(batch_id).to_parquet(path) == 3
    rows = parquet.read_table(path).to_pylist()
    for row, line in zip(rows, client.results(batch_id), strict=True):
        assert row["task_id"] == line["task_id"]
        assert row["document"] == line["document"]["name"]
        assert row["text"] == line["result"]["text"]
        assert json.loads(row["result"]) == line["result"]
        assert (row["status"], row["error"], row["input_tokens"]) == ("COMPLETED", None, line["usage"]["input_tokens"])
    assert list(tmp_path.iterdir()) == [path]


def test_results_are_a_table_of_pandas(client: Client) -> None:
    batch_id = completed(client, "to pandas")
    table = client.results(batch_id, run=1).to_pandas()
    assert sorted(table["document"]) == ["0.txt", "1.txt", "2.txt"]
    assert set(table["status"]) == {"COMPLETED"}


def test_both_on_asyncio(client: Client, service_with_worker: LiveServer, tmp_path: Path) -> None:
    batch_id = completed(client, "tables on asyncio")

    async def read() -> tuple[int, int]:
        async with AsyncClient(service_with_worker.url, service_with_worker.tokens["viewer"]) as reader:
            results = reader.results(batch_id)
            return await results.to_parquet(tmp_path / "x.parquet"), len(await results.to_pandas())

    assert asyncio.run(read()) == (3, 3)


def test_no_file_is_left_of_results_that_could_not_be_read(client: Client, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        client.results(999_999).to_parquet(tmp_path / "x.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_batch_without_results_is_an_empty_table(client: Client, tmp_path: Path) -> None:
    batch = client.create("nothing yet")
    assert client.results(batch["id"]).to_parquet(tmp_path / "x.parquet") == 0
    assert parquet.read_table(tmp_path / "x.parquet").num_rows == 0


def test_one_portion_is_in_memory_at_a_time(tmp_path: Path) -> None:
    """200 MiB of results are written while Python holds less than 60 MiB."""
    line = json.dumps({"task_id": "1", "result": {"text": "x" * 50_000}, "usage": {}, "run": 1}).encode()
    with tables.parquet_file(tmp_path / "x.parquet") as write:
        portion = tables.Portion(write)
        tracemalloc.start()
        try:
            for _ in range(4_000):
                portion.add(line)
            portion.flush()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 60 * MIB
    assert parquet.ParquetFile(tmp_path / "x.parquet").metadata.num_rows == 4_000


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"result": {"text": 7}, "usage": None, "document": None, "error": {"code": "x"}},
        {"result": {"json": {"score": 1}}, "usage": {"cost": 0.5, "latency_ms": 12, "input_tokens": 3}},
    ],
)
def test_any_line_is_a_row(line: dict, tmp_path: Path) -> None:
    with tables.parquet_file(tmp_path / "x.parquet") as write:
        write([tables.row_of(line)])
    (row,) = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert row["text"] is None
