"""The event stream that makes pages reload their parts. It carries no data, only the event that something changed."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response

from app.domain.transitions import LEASES_IN
from app.errors import NotFound
from app.services import Services
from app.services.reads.batch_page import Pulse
from app.ui.access import page, session_id, session_is_valid
from app.web.services import services
from app.web.streams import stream

routes = Blueprint("ui_live", __name__)

LOOK_SECONDS = 2.0
MOVING_SECONDS = 3  # how often a list is reloaded while batches are at work
_AT_WORK = frozenset().union(*LEASES_IN.values())


@page(routes, "GET", "/live")
def batches() -> Response:
    """Stream an event at once, and one after each change of any batch."""
    built = services()
    return stream(_Watch("batches", lambda: _all_batches(built)).new, LOOK_SECONDS, session_is_valid(), session_id())


@page(routes, "GET", "/live/<ident:batch_id>")
def batch(batch_id: int) -> Response:
    """Stream an event at once, and one after each change of the batch. Raises NotFound."""
    pulse = services().reads.batch_page.pulse
    pulse(batch_id)
    watch = _Watch(f"batch-{batch_id}", lambda: _summary(pulse(batch_id)))
    return stream(watch.new, LOOK_SECONDS, session_is_valid(), session_id())


class _Watch:
    """Compares what it reads with what it read at the last event."""

    def __init__(self, event: str, look: Callable[[], Any]) -> None:
        self._event, self._look, self._seen, self._once_more = event, look, object(), False

    def new(self) -> Iterator[str]:
        try:
            found = self._look()
        except NotFound:  # the batch was archived: the page says so when it reloads
            found = None
        is_new = found != self._seen
        if is_new or self._once_more:  # the first answer may be a kept fragment from just before the change
            self._seen, self._once_more = found, is_new
            yield f"event: {self._event}\ndata: changed\n\n"


def _summary(pulse: Pulse) -> Any:
    return pulse.changed, pulse.moved


def _all_batches(built: Services) -> Any:
    counts = built.reads.batches.counts()
    is_moving = any(counts.get(state) for state in _AT_WORK)
    return built.reads.audit.newest(), counts, int(time.monotonic() / MOVING_SECONDS) if is_moving else 0
