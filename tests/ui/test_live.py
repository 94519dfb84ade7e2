"""The stream that makes pages load again: at once, at each change, for few pages at a time, until the service stops."""

import re
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
    monkeypatch.setattr(streams, "_places", streams.Places(streams.MOST_STREAMS))  # nothing is closed here
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


def signed_in(server: LiveServer, http: requests.Session) -> requests.Session:
    """Sign a browser's session in as a viewer."""
    page = http.get(f"{server.url}/sign-in", timeout=LIMIT_SECONDS).text
    proof = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert proof
    form = {"csrf_token": proof[1], "token": server.tokens["viewer"]}
    assert http.post(f"{server.url}/sign-in", data=form, timeout=LIMIT_SECONDS).status_code == 200
    return http


def test_few_at_a_time_and_the_newest_page_of_a_session_takes_the_place_of_its_oldest(
    start_server: Callable[..., LiveServer], sqlite_url: str
) -> None:
    """In a server process of its own: a test client holds one request at a time."""
    server = start_server(sqlite_url)
    with requests.Session() as one, requests.Session() as other, ExitStack() as opened:
        mine, theirs = signed_in(server, one), signed_in(server, other)

        def stream(http: requests.Session) -> requests.Response:
            answer = http.get(f"{server.url}/live", stream=True, timeout=LIMIT_SECONDS)
            return opened.enter_context(answer)

        streamed = [stream(mine) for _ in range(streams.MOST_STREAMS)]
        assert [each.status_code for each in streamed] == [200] * streams.MOST_STREAMS
        assert stream(theirs).status_code == 503, "another session has no stream that it could replace"
        assert stream(mine).status_code == 200
        assert streamed[0].content.endswith(b"event: replaced\ndata: a newer page has the stream\n\n")
        streamed[1].close()
        wait_until(lambda: stream(theirs).status_code == 200, "the place of a page that was closed")


def test_eight_pages_that_are_left_one_after_the_other(
    start_server: Callable[..., LiveServer], sqlite_url: str
) -> None:
    server = start_server(sqlite_url)
    with requests.Session() as http:
        signed_in(server, http)
        for _ in range(2 * streams.MOST_STREAMS):
            with http.get(f"{server.url}/live", stream=True, timeout=LIMIT_SECONDS) as answer:
                assert answer.status_code == 200


def test_it_ends_when_the_service_stops(watcher: FlaskClient, app: Flask) -> None:
    stream = opened(watcher, "/live")
    next_event(stream)
    app.extensions["interlock"].queue.stopping.set()
    assert [part for part in stream if part.startswith("event: ")] == []
