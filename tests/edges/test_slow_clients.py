"""Clients that send half a request, or do not read their answer, hold no thread of the service. See app/server."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from app.server.http.connection import (
    BODY_BYTES_PER_SECOND,
    BODY_SECONDS,
    HEAD_SECONDS,
    READER_SECONDS,
    Connection,
)
from config import Config
from tests.support.server import LiveServer, StartServer
from tests.support.waiting import LIMIT_SECONDS, wait_until

THREADS = 4
OF_EACH_KIND = 5 * THREADS
LARGE = "/api/openapi.json"


@pytest.fixture
def server(start_server: StartServer, sqlite_url: str) -> LiveServer:
    """On one database: no request gets as far as it."""
    return start_server(sqlite_url, THREADS=str(THREADS))


@pytest.fixture
def connect(server: LiveServer) -> Iterator[Any]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with ExitStack() as opened:

        def make(sent: bytes, receive_bytes: int | None = None) -> socket.socket:
            client = opened.enter_context(socket.socket())
            if receive_bytes:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            client.connect((host, int(port)))
            client.sendall(sent)
            return client

        yield make


def head(method: str, path: str, server: LiveServer, *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {server.tokens['operator']}", *more]
    return "\r\n".join([*lines, ""]).encode()


def is_closed(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_they_stop_nobody(server: LiveServer, connect: Any) -> None:
    """Five times as many of each kind as there are threads."""
    body = ("Content-Type: application/json", "Content-Length: 1000", "")
    heads = [connect(head("GET", LARGE, server)) for _ in range(OF_EACH_KIND)]
    for _ in range(OF_EACH_KIND):
        connect(head("POST", "/api/batches", server, *body) + b'{"name": ')
    for _ in range(OF_EACH_KIND):
        connect(20 * head("GET", LARGE, server, ""), receive_bytes=4096)
    with server.session("operator") as http:
        assert requests.get(f"{server.url}/healthz", timeout=LIMIT_SECONDS).status_code == 200
        made = http.post(f"{server.url}/api/batches", json={"name": "a batch"}, timeout=LIMIT_SECONDS)
        assert made.status_code == 201
        reset = {"action": "reset"}
        url = f"{server.url}/api/batches/{made.json()['id']}/action"
        assert http.post(url, json=reset, timeout=LIMIT_SECONDS).status_code == 200
    wait_until(lambda: all(map(is_closed, heads)), "the end of the connections with half a head")


def test_a_slow_body_that_comes_whole_is_answered(server: LiveServer, connect: Any) -> None:
    body = b'{"name": "slow"}'
    client = connect(
        head("POST", "/api/batches", server, "Content-Type: application/json", f"Content-Length: {len(body)}", "")
    )
    for each in body:
        client.sendall(bytes([each]))
    client.settimeout(LIMIT_SECONDS)
    assert client.recv(100).startswith(b"HTTP/1.1 201 ")


def test_a_connection_without_a_request_stays_as_long_as_the_setting_says(
    start_server: StartServer, sqlite_url: str
) -> None:
    """A load balancer keeps connections for 60 s, so that the service has to keep them longer: 75 s by default."""
    assert Config(database_url=sqlite_url).keepalive_seconds == 75
    server = start_server(sqlite_url, KEEPALIVE_SECONDS="1")
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), LIMIT_SECONDS) as client:
        client.sendall(head("GET", "/healthz", server, ""))
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        wait_until(lambda: is_closed(client), "the end of the idle connection")


def connection(kept_bytes: int = 0, requests: Any = (), **reading: Any) -> SimpleNamespace:
    """A connection at rest since second 0, but for what is given."""
    reader = SimpleNamespace(**{"began_at": None, "body_bytes": None} | reading)
    outgoing = SimpleNamespace(kept_bytes=kept_bytes, taken_at=0.0)
    return SimpleNamespace(reader=reader, outgoing=outgoing, requests=requests, heard_at=0.0)


IDLE, HEAD = connection(), connection(began_at=0.0)


def body(arrived_bytes: int) -> SimpleNamespace:
    return connection(began_at=0.0, body_bytes=arrived_bytes)


@pytest.mark.parametrize(
    ("watched", "seconds", "overdue"),
    [
        (IDLE, 74, False),  # between two requests, as long as KEEPALIVE_SECONDS
        (IDLE, 76, True),
        (HEAD, HEAD_SECONDS, False),
        (HEAD, HEAD_SECONDS + 1, True),
        (body(0), BODY_SECONDS, False),  # every body has some time
        (body(0), BODY_SECONDS + 1, True),
        (body(100 * BODY_BYTES_PER_SECOND), 99, False),  # a large body may take long, if it goes on
        (body(100 * BODY_BYTES_PER_SECOND), 101, True),
        (connection(requests=["at work"]), 3600, False),  # the application decides how long it works
        (connection(kept_bytes=1, requests=["at work"]), READER_SECONDS, False),
        (connection(kept_bytes=1, requests=["at work"]), READER_SECONDS + 1, True),
    ],
)
def test_when_a_connection_is_closed(watched: Any, seconds: float, overdue: bool) -> None:
    assert Connection.overdue(watched, seconds, 75) is overdue
