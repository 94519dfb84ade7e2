"""The stream that tells pages to look again: at once, at each change, to few at a time, until it is told to stop."""

import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.services import Services
from app.ui import live
from tests.services import stories
from tests.support.client import ApiClient
from tests.ui.visits import visitor


@pytest.fixture
def watcher(app: Flask, client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(live, "_streams", threading.BoundedSemaphore(live.MOST_STREAMS))
    yield visitor(app, client.tokens, "viewer")
    app.extensions["interlock"].queue.stopping.set()


def next_event(stream: Iterator[str]) -> str:
    return next(part for part in stream if part.startswith("event: ")).split()[1]


def opened(watcher: FlaskClient, path: str) -> Iterator[str]:
    response = watcher.get(path)
    assert response.content_type.startswith("text/event-stream")
    return (part.decode() for part in response.iter_encoded())


def test_a_batch_at_once_and_when_it_changes(watcher: FlaskClient, services: Services) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    stream = opened(watcher, f"/live?batch={batch_id}")
    assert next_event(stream) == f"batch-{batch_id}"
    stories.act(services, batch_id, "pause")
    assert next_event(stream) == f"batch-{batch_id}"


def test_the_list(watcher: FlaskClient, services: Services) -> None:
    stream = opened(watcher, "/live")
    assert next_event(stream) == "batches"
    stories.create(services)
    assert next_event(stream) == "batches"


def test_few_at_a_time_and_each_gives_its_place_back(watcher: FlaskClient) -> None:
    streams = [watcher.get("/live") for _ in range(live.MOST_STREAMS)]
    assert watcher.get("/live").status_code == 503
    streams.pop().close()
    again = watcher.get("/live")
    assert again.status_code == 200
    for response in (again, *streams):
        response.close()


def test_it_ends_when_the_service_stops(watcher: FlaskClient, app: Flask) -> None:
    stream = opened(watcher, "/live")
    next_event(stream)
    app.extensions["interlock"].queue.stopping.set()
    assert [part for part in stream if part.startswith("event: ")] == []
