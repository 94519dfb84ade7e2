"""One service, one worker and one scripted model server for all the tests of this folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests

from tests.edges.scripted_server import ScriptedServer
from tests.support import databases
from tests.support.batches import Batch
from tests.support.process import PythonProcess
from tests.support.server import LiveServer, running_server
from tests.support.waiting import LIMIT_SECONDS

CONNECTIONS = ("lab", "fresh", "used", "unknown")


@dataclass
class Edge:
    """The service, the model server, and a session of an admin."""

    service: LiveServer
    models: ScriptedServer
    http: requests.Session
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)  # the results, by the name of their row
    openai: dict[str, dict[str, Any]] = field(default_factory=dict)  # the output file of the lines, by custom_id
    lines_url: str = ""  # of the batch of lines

    def batch(
        self, names: list[str], connection: str = "lab", options: dict[str, Any] | None = None, **prompt: Any
    ) -> Batch:
        """Stage and run a batch of one prompt; each name is a document."""
        documents = [{"name": name, "text": f"<<{name}>>"} for name in names]
        prompts = [{"name": "p", "text": "{document}", **prompt}]
        models = [{"connection": connection, "model": "m"}]
        batch = Batch(
            self.service, self.http, documents=documents, prompts=prompts, models=models, options=options or {}
        )
        batch.ask("stage")
        batch.reach("STAGED")
        batch.ask("run")
        return batch

    def lines(self, sent: list[dict[str, Any]]) -> Batch:
        """Stage and run a batch of ready-made lines."""
        batch = Batch(self.service, self.http, lines=b"\n".join(map(orjson.dumps, sent)))
        batch.ask("stage")
        batch.reach("STAGED")
        batch.ask("run")
        return batch

    def keep(self, batch: Batch) -> None:
        batch.reach("COMPLETED")
        for row in batch.results():
            self.rows[row["custom_id"] or row["document"]["name"]] = row


@contextmanager
def worker(service: LiveServer, models: ScriptedServer, folder: Path, *more: str) -> Iterator[PythonProcess]:
    """Run a worker with connections to the model server; `more` are further options of its command line."""
    prices = "input = 1, output = 2, cached_input = 0.1"
    tables = [f'[{name}]\nbase_url = "{models.url}"\nmodels = {{ "*" = {{ {prices} }} }}\n' for name in CONNECTIONS]
    tables.append(f'[unpriced]\nbase_url = "{models.url}"\n')
    (folder / "connections.toml").write_text('jsonl = "lab"\n' + "".join(tables))
    settings = {"INTERLOCK_URL": service.url, "INTERLOCK_TOKEN": service.tokens["worker"]}
    options, log = ("--connections", str(folder / "connections.toml"), *more), folder / "worker.log"
    process = PythonProcess("-m", "app.worker", *options, env={**os.environ, **settings}, output=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(LIMIT_SECONDS)


@pytest.fixture(scope="package")
def edge(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("edges")
    models = ScriptedServer()
    database_url = databases.sqlite_database(sqlite_template, folder)
    with running_server(database_url) as service, service.session() as http, worker(service, models, folder):
        yield Edge(service, models, http)
    models.stop()
