"""The bar of every page: the search for a batch or a task, and how many workers went silent."""

import threading
import time
from typing import Any

from flask import Blueprint, Flask, redirect, request, url_for

from app.domain.ids import plain_number
from app.domain.roles import READERS
from app.domain.times import rfc3339
from app.errors import NotFound, Refusal
from app.ui.access import page
from app.web.services import services

routes = Blueprint("ui_frame", __name__)
LONGEST_SEARCH = 200
KEPT_SECONDS = 5.0
_EXTENSION = "interlock_silent_workers"


class SilentWorkers:
    """The number of silent workers, read anew every few seconds: it is on every page."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = -KEPT_SECONDS
        self._amount = 0

    def __call__(self) -> int:
        with self._lock:
            if time.monotonic() - self._read_at < KEPT_SECONDS:
                return self._amount
            self._read_at = time.monotonic()
        try:
            self._amount = services().reads.workers.silent()
        except Refusal:  # the database is away: the page says so where it matters
            self._amount = 0
        return self._amount


def time_now() -> str:
    """The time of the database's clock, by which scripts write ages; empty while the database is away."""
    try:
        return rfc3339(services().clock.now())
    except Refusal:
        return ""


def prepare_frame(app: Flask) -> None:
    """Give the templates of an application the number of silent workers, and the time."""
    app.jinja_env.globals["silent_workers"] = SilentWorkers()
    app.jinja_env.globals["time_now"] = time_now


@page(routes, "GET", "/find", roles=READERS)
def find() -> Any:
    """Go to the batch or the task with a number, or to the batches with a word in their name."""
    words = request.args.get("q", "").strip()[:LONGEST_SEARCH]
    number = plain_number(words.removeprefix("#"))
    if number is not None:
        try:
            services().reads.batches.show(number)
            return redirect(url_for("ui_batch.show", batch_id=number), 303)
        except NotFound:
            pass
        try:
            batch_id = services().reads.tasks.show(str(number))["batch_id"]
            return redirect(url_for("ui_tasks.task", batch_id=batch_id, task_id=number), 303)
        except NotFound:
            pass
    return redirect(url_for("ui_batches.index", name=words or None), 303)
