"""Fragments of pages, kept in memory: rendered once for all viewers of the same content, and again after a change.

So fifty viewers of a batch at work cost little more than one.
"""

import threading
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

from flask import Flask, current_app

FRESH_SECONDS = 1.9  # less than between the two events of a change, so the second event gets a new fragment
KEPT_SECONDS = 30.0  # even when nothing happens, rates change with the clock
MOST_KEPT = 256

_EXTENSION = "interlock_fragments"


class _Kept(NamedTuple):
    moved: Hashable
    at: float
    html: str


class Fragments:
    """The kept fragments of one process; when there are too many, the oldest are dropped."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}
        self._lock = threading.Lock()

    def shared(self, key: Hashable, moved: Hashable, render: Callable[[], str]) -> str:
        """Give the fragment that is kept under `key`, or render it.

        `key` holds everything that must never be shown late, such as a version. `moved` holds what may be shown late by
        FRESH_SECONDS; None means that it is not known.
        """
        now, kept = time.monotonic(), self._kept.get(key)
        is_unmoved = kept is not None and moved is not None and moved == kept.moved
        if kept and now - kept.at < (KEPT_SECONDS if is_unmoved else FRESH_SECONDS):
            return kept.html
        html = render()
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = _Kept(moved, now, html)
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return html


def prepare_fragments(app: Flask) -> None:
    """Give an application its fragments."""
    app.extensions[_EXTENSION] = Fragments()


def fragments() -> Fragments:
    """Give the fragments of the present application."""
    found: Fragments = current_app.extensions[_EXTENSION]
    return found
