"""Browsers that watch a batch's page, as its scripts do.

Each asks for a stream, and at every word of it for the part of the page that changes. Refused a stream, it asks for
that part every 5 seconds, and for a stream again after twice the time.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread

import requests

from bench.scene import Scene
from tests.support import signing_in

TIMEOUT_SECONDS = 30
POLL_SECONDS = 5.0


@contextmanager
def watching(there: Scene, amount: int, batch_id: int) -> Iterator[None]:
    """Let so many browsers watch a batch while the block lasts; each is signed in and watching when it begins."""
    over = Event()
    ready = [Event() for _ in range(amount)]
    with ExitStack() as stack:
        sessions = [_signed_in(there, stack) for _ in range(amount)]
        watchers = [
            Thread(target=_watch, args=(there.server.url, session, batch_id, over, each), daemon=True)
            for session, each in zip(sessions, ready, strict=True)
        ]
        for watcher in watchers:
            watcher.start()
        try:
            for each in ready:
                each.wait(TIMEOUT_SECONDS)
            yield
        finally:
            over.set()
            for watcher in watchers:
                watcher.join(TIMEOUT_SECONDS)


def _signed_in(there: Scene, stack: ExitStack) -> requests.Session:
    session = stack.enter_context(requests.Session())
    address = f"{there.server.url}{signing_in.PATH}"
    form = signing_in.form_of(session.get(address, timeout=TIMEOUT_SECONDS).text, there.server.tokens["viewer"])
    session.post(address, data=form, timeout=TIMEOUT_SECONDS).raise_for_status()
    return session


def _watch(url: str, session: requests.Session, batch_id: int, over: Event, ready: Event) -> None:
    patience, next_stream = POLL_SECONDS, 0.0
    while not over.is_set():
        try:
            if time.monotonic() >= next_stream:
                with session.get(f"{url}/live/{batch_id}", stream=True, timeout=TIMEOUT_SECONDS) as stream:
                    ready.set()
                    for line in stream.iter_lines() if stream.ok else ():
                        if over.is_set():
                            return
                        if line.startswith(b"event:"):
                            _look(url, session, batch_id)
                    if stream.ok:
                        continue
                next_stream, patience = time.monotonic() + patience, patience * 2
            _look(url, session, batch_id)
        except requests.RequestException:
            ready.set()  # a stream that ends is opened again, as browsers do
        over.wait(POLL_SECONDS)


def _look(url: str, session: requests.Session, batch_id: int) -> None:
    there = f"{url}/batches/{batch_id}/now"
    session.get(there, headers={"HX-Request": "true"}, timeout=TIMEOUT_SECONDS).raise_for_status()
