"""Simulates browsers that show the page of a batch, in a separate process, with as little work as possible.

Like the page's script, each opens a stream, and at every event it fetches the part of the page that changes. Without a
stream it fetches that part every 5 seconds, and tries to open a stream again after a time that doubles.
"""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from multiprocessing.synchronize import Event, Semaphore
from threading import Thread
from urllib.parse import urlsplit
from uuid import uuid4

import requests

from bench.api_caller import IDLE_SECONDS, WrongAnswer
from bench.deployment import Deployment
from tests.support import signing_in

TIMEOUT_SECONDS = 30
POLL_SECONDS = 5.0
_spawn = multiprocessing.get_context("spawn")


@contextmanager
def watching(deployment: Deployment, amount: int, batch_id: int) -> Iterator[None]:
    """Let a number of browsers show a batch during the block. Each has loaded the page when the block begins."""
    over, ready = _spawn.Event(), _spawn.Semaphore(0)
    cookies = [_cookie(deployment) for _ in range(amount)]
    process = _spawn.Process(target=_open, args=(deployment.server.url, cookies, batch_id, over, ready), daemon=True)
    process.start()
    try:
        for number in range(amount):
            if not ready.acquire(timeout=TIMEOUT_SECONDS):
                raise WrongAnswer(f"Only {number} of {amount} browsers have loaded the page.")
        yield
    finally:
        over.set()
        process.join(TIMEOUT_SECONDS)
        process.kill()


def _cookie(deployment: Deployment) -> str:
    """Sign in with a new token, and return the cookie."""
    with deployment.caller("admin") as admin:
        token = admin.post("/api/tokens", {"name": f"watcher {uuid4().hex}", "role": "viewer"})["token"]
    address = f"{deployment.server.url}{signing_in.PATH}"
    with requests.Session() as session:
        form = signing_in.form_of(session.get(address, timeout=TIMEOUT_SECONDS).text, token)
        session.post(address, data=form, timeout=TIMEOUT_SECONDS).raise_for_status()
        return "; ".join(f"{each.name}={each.value}" for each in session.cookies)


def _open(url: str, cookies: list[str], batch_id: int, over: Event, ready: Semaphore) -> None:
    browsers = [_Browser(url, cookie, batch_id) for cookie in cookies]
    late = [POLL_SECONDS * number / len(cookies) for number in range(len(cookies))]  # spread over one polling interval
    watchers = [
        Thread(target=browser.watch, args=(seconds, over, ready), daemon=True)
        for browser, seconds in zip(browsers, late, strict=True)
    ]
    for watcher in watchers:
        watcher.start()
    over.wait()


class _Browser:
    def __init__(self, url: str, cookie: str, batch_id: int) -> None:
        self._host = urlsplit(url).netloc
        self._headers = {"Cookie": cookie, "HX-Request": "true"}
        self._batch_id = batch_id
        self._connection = HTTPConnection(self._host, timeout=TIMEOUT_SECONDS)
        self._used_at = 0.0

    def watch(self, late_seconds: float, over: Event, ready: Semaphore) -> None:
        over.wait(late_seconds)
        retry_seconds, next_stream_at, is_shown = POLL_SECONDS, 0.0, False
        while not over.is_set():
            self._fetch()
            if not is_shown:
                is_shown = True
                ready.release()
            if time.monotonic() >= next_stream_at and not self._stream(over):
                next_stream_at, retry_seconds = time.monotonic() + retry_seconds, retry_seconds * 2
            over.wait(POLL_SECONDS)

    def _fetch(self) -> None:
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self._connection.close()  # the next request opens it again
        self._connection.request("GET", f"/batches/{self._batch_id}/now", headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        self._used_at = time.monotonic()
        self._headers["If-None-Match"] = answer.headers.get("ETag", "")
        if answer.status not in (200, 304):
            raise WrongAnswer(f"a browser got the answer {answer.status}")

    def _stream(self, over: Event) -> bool:
        """Follow a stream until it ends; return False if the server refuses one."""
        with closing(HTTPConnection(self._host, timeout=TIMEOUT_SECONDS)) as connection:
            connection.request("GET", f"/live/{self._batch_id}", headers=self._headers)
            answer = connection.getresponse()
            try:
                while answer.status == 200 and not over.is_set() and (line := answer.readline()):
                    if line.startswith(b"event:"):
                        self._fetch()
            except (HTTPException, OSError):
                pass  # the stream broke: a browser opens another
            return answer.status == 200
