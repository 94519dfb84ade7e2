"""A proxy in front of the service that loses answers: the request arrives, its answer does not."""

import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.support.waiting import LIMIT_SECONDS


class LossyProxy:
    """Passes requests on; `lose` says how many of the next POSTs to a path have no answer."""

    def __init__(self, target: str) -> None:
        self.lose: dict[str, int] = {}
        self.retry_counts: list[str] = []  # what the clients said of each POST
        proxy, address = self, urlsplit(target).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Be silent."""

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                upstream = HTTPConnection(address, timeout=LIMIT_SECONDS)
                upstream.request(self.command, self.path, body, dict(self.headers))
                answer = upstream.getresponse()
                content = answer.read()
                upstream.close()
                if self.command == "POST":
                    proxy.retry_counts.append(self.headers.get("x-stainless-retry-count", ""))
                    if proxy.lose.get(self.path, 0):
                        proxy.lose[self.path] -= 1
                        self.close_connection = True
                        return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = handle_one

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
