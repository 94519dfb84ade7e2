"""Clients that send half a head, half a body, or do not read: the others are answered almost as fast as before."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from urllib.parse import urlsplit

import requests

from app.schema import migrate
from bench.edges.options import Edges
from bench.results import Result
from tests.support.batches import Batch
from tests.support.databases import postgres_database
from tests.support.postgres import private_postgres
from tests.support.server import LiveServer, running_server
from tests.support.waiting import LIMIT_SECONDS

OF_EACH_KIND = 20
MOST_TIMES = 2.0
USUAL_SECONDS = 15
LIFE_SECONDS = 12  # a little longer than the service waits for any of them
LARGE = "/api/openapi.json"
Times = dict[str, list[float]]


def slow_clients(edges: Edges) -> list[Result]:
    """60 slow clients of three kinds, with as many new ones as are dropped; /healthz and actions meanwhile."""
    with private_postgres() as postgres, postgres_database(postgres) as url:
        migrate(url)
        with running_server(url) as server, server.session("operator") as http:
            batch = Batch(server, http, documents=[{"name": "a", "text": "x"}])
            edges.progress.say("the usual times")
            usual = _measured(server, http, batch, USUAL_SECONDS)
            edges.progress.say(f"the times with {3 * OF_EACH_KIND} slow clients, for {edges.slow_seconds} s")
            with _slow_clients(server) as clients:
                beside = _measured(server, http, batch, edges.slow_seconds)
            edges.progress.say("the usual times again")
            for what, times in _measured(server, http, batch, USUAL_SECONDS).items():
                usual[what] += times
    edges.progress.say(f"slow clients that were dropped, and came again: {clients.dropped}")
    return [result for what in usual for result in _compared(what, usual[what], beside[what])]


def _compared(what: str, usual: list[float], beside: list[float]) -> Iterator[Result]:
    for word, of in (("median", median), ("95th percentile", lambda times: quantiles(times, n=20)[-1])):
        before, now = of(usual), of(beside)
        yield Result(
            f"{what} beside 60 slow clients, {word} of {len(beside):,}",
            f"{now * 1000:.1f} ms",
            f"without them {before * 1000:.1f} ms",
            now / before,
            at_most=MOST_TIMES,
        )


def _measured(server: LiveServer, http: requests.Session, batch: Batch, seconds: float) -> Times:
    times: Times = {"/healthz": [], "an action": []}
    end = time.monotonic() + seconds
    with requests.Session() as anyone:
        while time.monotonic() < end:
            began = time.monotonic()
            assert anyone.get(f"{server.url}/healthz", timeout=LIMIT_SECONDS).status_code == 200
            between = time.monotonic()
            assert http.post(f"{batch.url}/action", json={"action": "reset"}, timeout=LIMIT_SECONDS).status_code == 200
            times["/healthz"].append(between - began)
            times["an action"].append(time.monotonic() - between)
            time.sleep(0.01)
    return times


@dataclass
class Client:
    """A slow client: what it begins with, and whether it sends a byte each second or does not read its answers."""

    connection: socket.socket
    sends: bool
    began_at: float = field(default_factory=time.monotonic)

    def goes_on(self) -> bool:
        """Send a byte; return whether it is still there. One that is old was dropped, and may not know it."""
        if time.monotonic() - self.began_at > LIFE_SECONDS:
            return False
        try:
            if self.sends:
                self.connection.send(b"x")
        except OSError:
            return False
        return True


class SlowClients:
    """Twenty of each kind, with a new one for each that was dropped."""

    def __init__(self, server: LiveServer) -> None:
        address = urlsplit(server.url)
        self._address = (address.hostname, address.port)
        lines = f"Host: x\r\nAuthorization: Bearer {server.tokens['operator']}\r\n"
        head = f"GET {LARGE} HTTP/1.1\r\n{lines}X-Slow: "
        body = f"POST /api/batches HTTP/1.1\r\n{lines}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        requests_sent = 20 * f"GET {LARGE} HTTP/1.1\r\n{lines}\r\n"
        self._begins = OF_EACH_KIND * (head, body, requests_sent)
        self._clients = [self._connect(begin, begin != requests_sent) for begin in self._begins]
        self.dropped = 0

    def step(self) -> None:
        """Send a byte for each that sends, and replace those that were dropped."""
        for number, client in enumerate(self._clients):
            if not client.goes_on():
                client.connection.close()
                self._clients[number] = self._connect(self._begins[number], client.sends)
                self.dropped += 1

    def close(self) -> None:
        for client in self._clients:
            client.connection.close()

    def _connect(self, begin: str, sends: bool) -> Client:
        connection = socket.socket()
        if not sends:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(self._address)
        connection.sendall(begin.encode())
        connection.setblocking(False)
        return Client(connection, sends)


@contextmanager
def _slow_clients(server: LiveServer) -> Iterator[SlowClients]:
    clients, ended = SlowClients(server), threading.Event()

    def go_on() -> None:
        while not ended.wait(1):
            clients.step()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield clients
    finally:
        ended.set()
        thread.join()
        clients.close()
