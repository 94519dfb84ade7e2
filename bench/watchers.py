"""Browsers that watch a batch's page, as its scripts do; in a process of their own, as light as can be.

Each asks for a stream, and at every word of it for the part of the page that changes. Refused a stream, it asks for
that part every 5 seconds, and for a stream again after twice the time.
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

from bench.calls import IDLE_SECONDS, WrongAnswer
from bench.scene import Scene
from tests.support import signing_in

TIMEOUT_SECONDS = 30
POLL_SECONDS = 5.0
_spawn = multiprocessing.get_context("spawn")


@contextmanager
def watching(there: Scene, amount: int, batch_id: int) -> Iterator[None]:
    """Let so many browsers watch a batch while the block lasts; each has been watching when it begins."""
    over, ready = _spawn.Event(), _spawn.Semaphore(0)
    cookies = [_cookie(there) for _ in range(amount)]
    process = _spawn.Process(target=_open, args=(there.server.url, cookies, batch_id, over, ready), daemon=True)
    process.start()
    try:
        for number in range(amount):
            if not ready.acquire(timeout=TIMEOUT_SECONDS):
                raise WrongAnswer(f"Of {amount} browsers {number} were shown the page")
        yield
    finally:
        over.set()
        process.join(TIMEOUT_SECONDS)
        process.kill()


def _cookie(there: Scene) -> str:
    """Sign in as somebody, with a token of their own."""
    with there.caller("admin") as admin:
        token = admin.post("/api/tokens", {"name": f"watcher {uuid4().hex}", "role": "viewer"})["token"]
    address = f"{there.server.url}{signing_in.PATH}"
    with requests.Session() as session:
        form = signing_in.form_of(session.get(address, timeout=TIMEOUT_SECONDS).text, token)
        session.post(address, data=form, timeout=TIMEOUT_SECONDS).raise_for_status()
        return "; ".join(f"{each.name}={each.value}" for each in session.cookies)


def _open(url: str, cookies: list[str], batch_id: int, over: Event, ready: Semaphore) -> None:
    browsers = [_Browser(url, cookie, batch_id) for cookie in cookies]
    late = [POLL_SECONDS * number / len(cookies) for number in range(len(cookies))]  # people do not come all at once
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
        patience, next_stream, is_shown = POLL_SECONDS, 0.0, False
        while not over.is_set():
            self._look()
            if not is_shown:
                is_shown = True
                ready.release()
            if time.monotonic() >= next_stream and not self._stream(over):
                next_stream, patience = time.monotonic() + patience, patience * 2
            over.wait(POLL_SECONDS)

    def _look(self) -> None:
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self._connection.close()  # the next request opens it again
        self._connection.request("GET", f"/batches/{self._batch_id}/now", headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        self._used_at = time.monotonic()
        if answer.status != 200:
            raise WrongAnswer(f"a browser was answered {answer.status}")

    def _stream(self, over: Event) -> bool:
        """Follow a stream until it ends; False if there is none to be had."""
        with closing(HTTPConnection(self._host, timeout=TIMEOUT_SECONDS)) as connection:
            connection.request("GET", f"/live/{self._batch_id}", headers=self._headers)
            answer = connection.getresponse()
            try:
                while answer.status == 200 and not over.is_set() and (line := answer.readline()):
                    if line.startswith(b"event:"):
                        self._look()
            except (HTTPException, OSError):
                pass  # it broke off: a browser comes back
            return answer.status == 200
