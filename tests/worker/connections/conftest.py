"""Fixtures of the tests of connections: a model server that misbehaves on request, and handlers that call it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.worker import Task
from app.worker.connections.handler import ConnectionHandler
from app.worker.connections.settings import Connection
from tests.worker.connections.model_server import MisbehavingServer

KEY = "sk-a-key-that-nobody-may-see"
Connect = Callable[..., ConnectionHandler]


class Clock:
    """A fake clock: the test decides when waiting tasks may go. `looks` counts how often it was read."""

    def __init__(self) -> None:
        self.now, self.looks = 0.0, 0

    def __call__(self) -> float:
        now = self.now
        self.looks += 1
        return now


@pytest.fixture
def model_server() -> Iterator[MisbehavingServer]:
    server = MisbehavingServer()
    yield server
    server.stop()


@pytest.fixture
def connect(model_server: MisbehavingServer) -> Iterator[Connect]:
    """Make the handler of a connection to the model server, with these settings; all are closed at the end."""
    made: list[ConnectionHandler] = []

    def make(key: str = KEY, **settings: Any) -> ConnectionHandler:
        made.append(ConnectionHandler("lab", Connection(**{"base_url": model_server.url, **settings}), key))
        return made[-1]

    yield make
    for handler in made:
        handler.close()


def asking(text: str = "2 + 2?", task_id: str = "1", is_probe: bool = False, **payload: Any) -> Task:
    messages = [{"role": "user", "content": text}]
    found = {"connection": "lab", "model": "m", "params": {}, "messages": messages, **payload}
    return Task(task_id, 1, 1, "ANALYZE", 1, found, f"t.{task_id}.1", is_probe=is_probe)


def line(body: dict[str, Any], url: str = "/v1/chat/completions") -> Task:
    return task_of(custom_id="a", method="POST", url=url, body=body)


def task_of(**payload: Any) -> Task:
    return Task("1", 1, 1, "ANALYZE", 1, payload, "t.1.1")
