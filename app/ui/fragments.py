"""Fragments that many watch: rendered once for all who are to see the same, and anew as soon as it changed.

So fifty watchers of a batch at work cost little more than one.
"""

import threading
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

from flask import Flask, current_app

FRESH_SECONDS = 1.9  # less than passes between a stream's word and its second one, which is answered anew
KEPT_SECONDS = 30.0  # rates move with the clock alone
MOST_KEPT = 256

_EXTENSION = "interlock_fragments"


class _Kept(NamedTuple):
    moved: Hashable
    at: float
    html: str


class Fragments:
    """Those of one process, the oldest of which make way."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}
        self._lock = threading.Lock()

    def shared(self, key: Hashable, moved: Hashable, render: Callable[[], str]) -> str:
        """Give the fragment that is kept under `key`, or render it.

        In `key` stands what must never be shown late, like a version; `moved` is what may be, by FRESH_SECONDS, and
        None where that is not known.
        """
        now, kept = time.monotonic(), self._kept.get(key)
        stands_still = kept is not None and moved is not None and moved == kept.moved
        if kept and now - kept.at < (KEPT_SECONDS if stands_still else FRESH_SECONDS):
            return kept.html
        html = render()
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = _Kept(moved, now, html)
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return html


def prepare_fragments(app: Flask) -> None:
    """Give an application its own."""
    app.extensions[_EXTENSION] = Fragments()


def fragments() -> Fragments:
    """Those of the present application."""
    found: Fragments = current_app.extensions[_EXTENSION]
    return found
