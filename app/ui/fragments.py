"""Fragments of pages, kept in memory: rendered once for all viewers of the same content, and again after a change.

So fifty viewers of a batch at work cost little more than one. A page that already shows the content sends its mark, and
gets the answer 304 without a body.
"""

import threading
import time
from collections.abc import Callable, Hashable
from hashlib import sha256
from typing import NamedTuple

from flask import Flask, Response, current_app, request

FRESH_SECONDS = 1.9  # less than between the two events of a change, so the second event gets a new fragment
KEPT_SECONDS = 30.0  # even when nothing happens, rates change with the clock
MOST_KEPT = 256
MARK_LENGTH = 16

_EXTENSION = "interlock_fragments"


class _Kept(NamedTuple):
    moved: Hashable
    at: float
    mark: str
    html: str


def mark_of(key: Hashable, moved: Hashable) -> str:
    """Name the content of a fragment that is rendered now: the same in each process, and another after KEPT_SECONDS."""
    period = int(time.time() / KEPT_SECONDS)
    return sha256(repr((key, moved, period)).encode()).hexdigest()[:MARK_LENGTH]


class Fragments:
    """The kept fragments of one process; when there are too many, the oldest are dropped."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}
        self._lock = threading.Lock()

    def shared(self, key: Hashable, moved: Hashable, render: Callable[[], str]) -> str:
        """Give the fragment that is kept under `key`, or render it.

        `key` holds what must never be shown late, such as a version, and the root of the links. `moved` holds
        what may be shown late by FRESH_SECONDS; None means that it is not known.
        """
        return self._kept_or_rendered(key, moved, lambda _: render()).html

    def answer(self, key: Hashable, moved: Hashable, render: Callable[[str], str]) -> Response:
        """Answer with the fragment, as `shared` gives it; `render` writes its mark into it.

        The answer is 304 if the request has this mark in If-None-Match.
        """
        kept = self._kept_or_rendered(key, moved, render)
        response = Response(kept.html, content_type="text/html; charset=utf-8")
        response.set_etag(kept.mark)
        response.make_conditional(request)
        return response

    def _kept_or_rendered(self, key: Hashable, moved: Hashable, render: Callable[[str], str]) -> _Kept:
        now, kept = time.monotonic(), self._kept.get(key)
        is_unmoved = kept is not None and moved is not None and moved == kept.moved
        if kept and now - kept.at < (KEPT_SECONDS if is_unmoved else FRESH_SECONDS):
            return kept
        mark = mark_of(key, moved)
        fresh = _Kept(moved, now, mark, render(mark))
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = fresh
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return fresh


def prepare_fragments(app: Flask) -> None:
    """Give an application its fragments."""
    app.extensions[_EXTENSION] = Fragments()


def fragments() -> Fragments:
    """Give the fragments of the present application."""
    found: Fragments = current_app.extensions[_EXTENSION]
    return found
