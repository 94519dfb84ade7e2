"""A worker with connections to model servers that fail, and batches that use them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.edges.failing_server import FailingServer
from tests.support.batches import Batch
from tests.support.process import PythonProcess
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS, wait_until


@dataclass
class Lab:
    """A service, and model servers by the names of their connections."""

    service: LiveServer
    http: requests.Session
    servers: dict[str, FailingServer]
    worker_log: Path

    def batch(self, names: list[str], connections: list[str], **options: Any) -> Batch:
        """Run a batch; each name is a document and its text."""
        models = [{"connection": name, "model": "m"} for name in connections]
        documents = [{"name": name, "text": name} for name in names]
        prompts = [{"name": "p", "text": "{document}"}]
        batch = Batch(
            self.service, self.http, documents=documents, prompts=prompts, models=models, options=options
        )  # fmt: skip
        batch.ask("stage")
        batch.reach("STAGED")
        batch.ask("run")
        return batch

    def circuits(self) -> dict[str, dict[str, Any]]:
        """The circuits that are shown, each by its connection."""
        answer = self.http.get(f"{self.service.url}/api/connections?limit=200", timeout=LIMIT_SECONDS).json()
        return {row["connection"]: row for row in answer["connections"] if row["state"] != "open"}

    def wait_for_failures(self, connections: list[str], more: int) -> None:
        """Wait until so many more failures in a row are shown for each connection."""
        before = {name: row["failures"] for name, row in self.circuits().items()}

        def are_more() -> bool:
            now = self.circuits()
            return all(name in now and now[name]["failures"] >= before.get(name, 0) + more for name in connections)

        wait_until(are_more, lambda: f"{more} failures more than {before}: {self.circuits()}")


@contextmanager
def running_lab(service: LiveServer, folder: Path, servers: dict[str, FailingServer], *options: str) -> Iterator[Lab]:
    """Run a worker with a connection to each server; `options` are further ones of its command line."""
    settings = 'read_seconds = 1\nmodels = { "*" = { input = 0 } }\n'
    tables = [f'["{name}"]\nbase_url = "{server.url}"\n{settings}' for name, server in servers.items()]
    (folder / "connections.toml").write_text("".join(tables))
    environment = {"INTERLOCK_URL": service.url, "INTERLOCK_TOKEN": service.tokens["worker"]}
    command = ("-m", "app.worker", "--connections", str(folder / "connections.toml"), "--wait-seconds", "0.2", *options)
    log = folder / "worker.log"
    worker = PythonProcess(*command, env={**os.environ, **environment}, output=log)
    try:
        with service.session() as http:
            yield Lab(service, http, servers, log)
    finally:
        worker.terminate()
        worker.wait(LIMIT_SECONDS)
        for server in servers.values():
            server.stop()


def tries(batch: Batch) -> list[tuple[str, int]]:
    """The status and the attempts of each task."""
    return [(row["status"], row["attempt"]) for row in batch.list_all("tasks") if row["kind"] == "ANALYZE"]


def attempts(batch: Batch) -> set[tuple[str, int]]:
    """The statuses and attempts that occur."""
    return set(tries(batch))
