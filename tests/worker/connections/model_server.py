"""A model server for tests: OpenAI's API over real HTTP, misbehaving on order. For what a real one does not do at will.

`order(429, (503, {"Retry-After": "2"}), "half")` says how the next calls go wrong, in turn; then all is well again.
"""

import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import LIMIT_SECONDS

ANSWER = {
    "model": "m-2026",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Four."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 20},
}


def saying(text: str | None, finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish_reason}
    return {**ANSWER, "choices": [choice]}


class MisbehavingServer:
    """`calls` holds the path, headers and body of every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.checks: list[str] = []  # paths of calls by GET
        self.answer: dict[str, Any] = ANSWER
        self.orders: deque[Any] = deque()
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        self.gate = threading.Event()  # calls wait for it
        self.gate.set()
        mine = self

        class Handler(_Handler):
            server_of_test = mine

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that went away is no error of this server."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    def order(self, *answers: Any) -> None:
        """A status, a (status, headers), a (status, body), a body, or: cut, half, trickle, silence."""
        self.orders.extend(answers)


class _Handler(BaseHTTPRequestHandler):
    server_of_test: MisbehavingServer

    def log_message(self, *_: Any) -> None:
        """Be silent."""

    def do_GET(self) -> None:
        mine = self.server_of_test
        with mine.lock:
            mine.checks.append(self.path)
            order = mine.orders.popleft() if mine.orders else {"object": "list", "data": []}
        self._obey(order)

    def do_POST(self) -> None:
        mine = self.server_of_test
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with mine.lock:
            mine.calls.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            mine.at_once += 1
            mine.most_at_once = max(mine.most_at_once, mine.at_once)
            order = mine.orders.popleft() if mine.orders else mine.answer
        mine.gate.wait(LIMIT_SECONDS)
        try:
            self._obey(order)
        finally:
            with mine.lock:
                mine.at_once -= 1

    def _obey(self, order: Any) -> None:
        whole = json.dumps(self.server_of_test.answer).encode()
        if order == "cut":
            self.close_connection = True
        elif order == "half":
            self._head(200, len(whole))
            self.wfile.write(whole[: len(whole) // 2])
        elif order == "broken":
            self._answer(200, whole[: len(whole) // 2])
        elif order in ("trickle", "silence"):
            self._head(200, len(whole))
            for byte in whole if order == "trickle" else whole[:1] * 2:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.05 if order == "trickle" else 5)
        elif isinstance(order, int):
            self._answer(order, json.dumps({"error": {"message": f"This is a {order}.", "code": None}}).encode())
        elif isinstance(order, tuple) and "error" in order[1]:
            self._answer(order[0], json.dumps(order[1]).encode())
        elif isinstance(order, tuple):
            self._answer(order[0], b'{"error": {"message": "Slow down."}}', **order[1])
        else:
            self._answer(200, json.dumps(order).encode())

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self._head(status, len(body), **headers)
        self.wfile.write(body)
