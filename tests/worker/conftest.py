"""Fixtures of the worker's tests: a fake service that misbehaves on request, and a client of it."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.worker.service import outage, retries
from app.worker.service.client import Address, Client
from tests.support.process import PythonProcess
from tests.worker import sample_handlers
from tests.worker.fake_service import FakeService
from tests.worker.running import Handler, Running

StartWorker = Callable[..., PythonProcess]
WORKER_LOG = "worker.log"  # below tmp_path: what the processes of start_worker write


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(retries, "MAX_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(retries, "JITTER_SECONDS", 0.01)
    monkeypatch.setattr(outage, "EVERY_SECONDS", 0.1)


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake = FakeService()
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def client(service: FakeService) -> Client:
    return Client(Address(service.url, service.token), "a worker")


@pytest.fixture
def start_worker(service: FakeService, tmp_path: Path) -> Iterator[StartWorker]:
    """Start worker processes against the fake service, with further options; all are killed at the end.

    What they write is in the file WORKER_LOG.
    """
    started: list[PythonProcess] = []
    token = tmp_path / "token"
    token.write_text(f"{service.token}\n")

    def start(*options: str) -> PythonProcess:
        command = ("-m", "app.worker", "--url", service.url, "--token-file", str(token), *options)
        started.append(PythonProcess(*command, env=os.environ, output=tmp_path / WORKER_LOG))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def run(service: FakeService) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(handler: Handler = sample_handlers.at_once, **options: Any) -> Running:
        started.append(Running(service, handler, **options))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@contextmanager
def others(client: Client) -> Iterator[None]:
    """Make other calls all the time, which are answered."""
    ended = threading.Event()

    def call() -> None:
        while not ended.wait(0.01):
            client.heartbeat([])

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
