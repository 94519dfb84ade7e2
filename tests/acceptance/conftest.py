"""Fixtures of the acceptance: worker processes, a service on PostgreSQL, a model server that is not ours."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.foreign_server import ForeignServer, foreign_server
from tests.support.process import PythonProcess
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS

StartWorker = Callable[..., PythonProcess]
LATENCY_MS = 40


@pytest.fixture
def model_server(tmp_path: Path) -> Iterator[ForeignServer]:
    with foreign_server(tmp_path, LATENCY_MS) as server:
        yield server


@pytest.fixture
def start_worker(
    start_server: Callable[..., LiveServer], postgres_url: str, model_server: ForeignServer, tmp_path: Path
) -> Iterator[StartWorker]:
    """Start workers of a service, that know the model server as `lab`; each has a log of its own."""
    connections = tmp_path / "connections.toml"
    connections.write_text(
        f'[lab]\nbase_url = "{model_server.url}"\nconcurrency = 8\n'
        'models = { "*" = { input = 0, output = 1_000_000 } }\n'  # a token of an answer costs 1
    )
    started: list[PythonProcess] = []

    def start(server: LiveServer, *options: str) -> PythonProcess:
        settings = {"INTERLOCK_URL": server.url, "INTERLOCK_TOKEN": server.tokens["worker"]}
        log = tmp_path / f"worker-{len(started)}.log"
        options = ("--connections", str(connections), *options)
        started.append(PythonProcess("-m", "app.worker", *options, env={**os.environ, **settings}, output=log))
        return started[-1]

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        assert process.wait(LIMIT_SECONDS) in (0, -signal.SIGKILL)
