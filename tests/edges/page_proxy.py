"""A proxy in front of a service that answers some calls itself, with pages of its own.

`interfere(page, calls)` replaces the answers of the next `calls` calls of each kind. Every second of them reaches the
service first: the service has done what was asked, and only its answer is lost. With `reaching=False` none does.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from tests.support.waiting import LIMIT_SECONDS

NOT_FORWARDED = {"connection", "content-length", "transfer-encoding", "date", "server", "host"}
HTML = "<html><body>Please come back later.</body></html>"


@dataclass(frozen=True)
class Page:
    """An answer of the proxy itself."""

    status: int
    body: str = HTML
    content_type: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict)


class PageProxy:
    """`replaced` counts the replaced answers of each kind of call: lease, report, heartbeat, release, content."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.url = ""
        self.replaced: Counter[str] = Counter()
        self._page: Page | None = None
        self._left: Counter[str] = Counter()
        self._reaching = True
        self._containing = b""
        self._lock = threading.Lock()

    def interfere(self, page: Page, calls: int, *kinds: str, reaching: bool = True, containing: bytes = b"") -> None:
        """Replace the answers of the next `calls` calls of each of these kinds, if their body contains these bytes."""
        with self._lock:
            self._containing = containing
            self._page, self._left, self._reaching = page, Counter(dict.fromkeys(kinds, calls)), reaching
            self.replaced.clear()

    def relent(self) -> None:
        """Replace no further answer."""
        with self._lock:
            self._left.clear()

    def replacement(self, kind: str, body: bytes) -> tuple[Page | None, bool]:
        """Return the page for a call, or None, and whether the call reaches the service."""
        with self._lock:
            if not self._left[kind] or self._containing not in body:
                return None, True
            self._left[kind] -= 1
            return self._page, self._reaching and self._left[kind] % 2 == 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: PageProxy

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.path.rpartition("/")[2]
        page, forwarded = self.proxy.replacement(kind, body)
        if forwarded:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_FORWARDED}
            answer = requests.request(
                self.command, self.proxy.upstream + self.path, data=body, headers=headers, timeout=LIMIT_SECONDS,
                allow_redirects=False,
            )  # fmt: skip
        if page:
            self.proxy.replaced[kind] += 1  # the service has done its part
            self._send(page.status, {**page.headers, "Content-Type": page.content_type}, page.body.encode())
        else:
            self._send(answer.status_code, dict(answer.headers), answer.content)

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in NOT_FORWARDED:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def page_proxy(upstream: str) -> Iterator[PageProxy]:
    """Run the proxy."""
    proxy = PageProxy(upstream)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A worker that was killed is no error of this proxy."""

    with Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy})) as server:
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
