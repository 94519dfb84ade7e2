"""A proxy that loses answers: what the server has done stays done, but the client never hears of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from tests.support.waiting import LIMIT_SECONDS

HEADER = "X-Lose-The-Answer"


@contextmanager
def losing_proxy(upstream: str) -> Iterator[str]:
    """Run the proxy and yield its address. A request with HEADER reaches the server, and its answer nobody."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name not in ("Host", HEADER)}
            answer = requests.request(
                self.command,
                upstream + self.path,
                data=body,
                headers=headers,
                timeout=LIMIT_SECONDS,
                allow_redirects=False,
            )
            self.close_connection = True
            if HEADER in self.headers:
                return
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in ("Connection", "Content-Length", "Transfer-Encoding", "Date", "Server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PATCH = do_DELETE = _forward

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
