"""A model server that answers some calls, then fails all of them in one way until it `recover`s."""

import select
import socket
import struct
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from tests.edges.answers_of_servers import chat

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset


class FailingServer:
    """`way` is refuse, reset, hang, a status with its body and headers, or None: then it never fails.

    `calls` counts the calls of each text that was sent, and `begun_at` has their times on the monotonic clock;
    `most_at_once` may be set to 0 again by a test.
    """

    def __init__(self, way: Any = None, good_calls: int = 0, latency_seconds: float = 0.01) -> None:
        self.way = way
        self.good_calls = good_calls
        self.latency_seconds = latency_seconds
        self.calls: Counter[str] = Counter()
        self.begun_at: list[float] = []
        self.failed = self.most_at_once = self.at_once = 0
        self.only: str | None = None  # the text that fails alone
        self.lock = threading.Lock()
        self.recovered = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self._listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def recover(self) -> None:
        self.recovered.set()
        if self._server is None:
            self._listen()

    def stop(self) -> None:
        self.recovered.set()
        with self.lock:
            server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()

    def begin(self, text: str) -> Any:
        """Count a call; return how it fails, or None."""
        with self.lock:
            self.calls[text] += 1
            self.begun_at.append(time.monotonic())
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            fails = self.way is not None and not self.recovered.is_set() and self.calls.total() > self.good_calls
            fails = fails and self.only in (None, text)
            self.failed += fails
            return self.way if fails else None

    def end(self) -> None:
        with self.lock:
            self.at_once -= 1

    def refuse(self) -> None:
        """Listen no more."""
        with self.lock:
            server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()

    def _listen(self) -> None:
        mine = self

        class Handler(_Handler):
            server_of_test = mine

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 100

            def handle_error(self, *_: Any) -> None:
                """A client that went away is no error of this server."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server_of_test: FailingServer

    def log_message(self, *_: Any) -> None:
        """Be silent."""

    def do_GET(self) -> None:
        self._answer(200, {"object": "list", "data": []})

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        mine = self.server_of_test
        way = mine.begin(body["messages"][-1]["content"])
        try:
            if way is None:
                threading.Event().wait(mine.latency_seconds)
                self._answer(200, chat("Four."))
            elif isinstance(way, int):
                self._answer(way, {"error": {"message": f"This is a {way}."}})
            elif isinstance(way, tuple):
                status, body, *headers = way
                self._answer(status, body, **(headers[0] if headers else {}))
            else:
                self._break(way)
        finally:
            mine.end()

    def _break(self, way: str) -> None:
        self.close_connection = True
        if way == "refuse":
            self.server_of_test.refuse()
        if way == "hang":
            self._wait_until_left()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.connection.close()

    def _wait_until_left(self) -> None:
        """Answer nothing until the client has gone, or the server recovers."""
        while not self.server_of_test.recovered.is_set():
            if select.select([self.connection], [], [], 0.05)[0]:
                return

    def _answer(self, status: int, body: Any, **headers: str) -> None:
        content = orjson.dumps(body)
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)
