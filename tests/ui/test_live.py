"""The stream that makes pages load again: at once, at each change, for few pages at a time, until the service stops."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from app.services import Services
from app.ui import live
from app.web import streams
from tests.services import stories
from tests.support.client import ApiClient
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.ui.visits import visitor


@pytest.fixture
def watcher(app: Flask, client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(streams, "_places", threading.BoundedSemaphore(streams.MOST_STREAMS))  # nothing is closed here
    yield visitor(app, client.tokens, "viewer")
    app.extensions["interlock"].queue.stopping.set()


def next_event(stream: Iterator[str]) -> str:
    return next(part for part in stream if part.startswith("event: ")).split()[1]


def told(stream: Iterator[str]) -> list[str]:
    """Read the names of the events that arrive, from the first one until no more come."""
    events = [next_event(stream)]
    while (part := next(stream)).startswith("event: "):
        events.append(part.split()[1])
    return events


def opened(watcher: FlaskClient, path: str) -> Iterator[str]:
    response = watcher.get(path)
    assert response.content_type.startswith("text/event-stream")
    return (part.decode() for part in response.iter_encoded())


def test_a_batch_at_once_and_when_it_changes(watcher: FlaskClient, services: Services) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    stream = opened(watcher, f"/live/{batch_id}")
    for change in ("pause", "resume", None):
        assert told(stream) == [f"batch-{batch_id}"] * 2  # again, since the first answer may be one that was kept
        if change:
            stories.act(services, batch_id, change)
    stories.lease_one(services, batch_id)
    assert told(stream) == [f"batch-{batch_id}"] * 2


@pytest.mark.parametrize("path", ["/live/1", "/live/99999999999999999999", "/live/x"])
def test_404_of_a_batch_that_is_not(watcher: FlaskClient, path: str) -> None:
    assert watcher.get(path).status_code == 404


def test_the_list(watcher: FlaskClient, services: Services) -> None:
    stream = opened(watcher, "/live")
    assert told(stream) == ["batches"] * 2
    stories.create(services)
    assert told(stream) == ["batches"] * 2


def test_few_at_a_time_and_each_gives_its_place_back(
    start_server: Callable[..., LiveServer], database_url: str
) -> None:
    """In a server process of its own: a test client holds one request at a time."""
    server = start_server(database_url)
    with requests.Session() as http:
        page = http.get(f"{server.url}/sign-in", timeout=LIMIT_SECONDS).text
        proof = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert proof
        form = {"csrf_token": proof[1], "token": server.tokens["viewer"]}
        assert http.post(f"{server.url}/sign-in", data=form, timeout=LIMIT_SECONDS).status_code == 200
        with ExitStack() as opened:

            def stream() -> int:
                answer = opened.enter_context(http.get(f"{server.url}/live", stream=True, timeout=LIMIT_SECONDS))
                return answer.status_code

            assert [stream() for _ in range(streams.MOST_STREAMS)] == [200] * streams.MOST_STREAMS
            assert stream() == 503
        with ExitStack() as opened:  # a place is free when the process has seen that nobody reads
            wait_until(lambda: stream() == 200, "a free place")


def test_it_ends_when_the_service_stops(watcher: FlaskClient, app: Flask) -> None:
    stream = opened(watcher, "/live")
    next_event(stream)
    app.extensions["interlock"].queue.stopping.set()
    assert [part for part in stream if part.startswith("event: ")] == []
