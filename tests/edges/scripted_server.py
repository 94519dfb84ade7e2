"""A model server that answers byte for byte what a test lays down. A request names its answers, as `<<name>>`."""

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

NAME = re.compile(rb"<<([a-z0-9 _-]+)>>")


@dataclass(frozen=True)
class Reply:
    """One HTTP answer; a body that is not bytes is sent as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


class ScriptedServer:
    """`replies` holds the answers to each name, in turn; the last one repeats. `calls` counts, `paths` keeps where."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply]] = {}
        self.calls: Counter[str] = Counter()
        self.paths: dict[str, str] = {}
        self._lock = threading.Lock()
        mine = self

        class Handler(_Handler):
            server_of_test = mine

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def next_reply(self, path: str, request: bytes) -> Reply:
        found = NAME.search(request)
        assert found, request
        name = found[1].decode()
        with self._lock:
            number, self.paths[name] = self.calls[name], path
            self.calls[name] += 1
        replies = self.replies[name]
        return replies[min(number, len(replies) - 1)]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_of_test: ScriptedServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Be silent."""

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["Content-Length"]))
        reply = self.server_of_test.next_reply(self.path, request)
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()
        self.wfile.write(reply.content)
