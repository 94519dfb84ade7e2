"""A real worker of a server, which sends the lines of batches to a model server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.process import PythonProcess
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS


@contextmanager
def real_worker(server: LiveServer, models_url: str, folder: Path) -> Iterator[None]:
    """Run a worker for as long as the block lasts; `folder` takes its settings and its output."""
    connections = folder / "connections.toml"
    connections.write_text(f'jsonl = "lab"\n[lab]\nbase_url = "{models_url}"\n')
    settings = {"INTERLOCK_URL": server.url, "INTERLOCK_TOKEN": server.tokens["worker"]}
    worker = PythonProcess(
        "-m", "app.worker", "--connections", str(connections),
        env={**os.environ, **settings}, output=folder / "worker.log",
    )  # fmt: skip
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(LIMIT_SECONDS)
