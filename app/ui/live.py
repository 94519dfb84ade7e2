"""The stream that tells pages to look again: no data in it, so a page never shows what it did not ask for."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response

from app.domain.transitions import LEASES_IN
from app.errors import NotFound
from app.services import Services
from app.ui.access import page
from app.web.services import services
from app.web.streams import stream

routes = Blueprint("ui_live", __name__)

LOOK_SECONDS = 2.0
MOVING_SECONDS = 3  # how often a list whose batches are at work is read anew
_AT_WORK = frozenset().union(*LEASES_IN.values())


@page(routes, "GET", "/live")
def batches() -> Response:
    """Stream an event at once, and whenever any batch has changed since."""
    built = services()
    return stream(_Watch("batches", lambda: _all_batches(built)).new, LOOK_SECONDS)


@page(routes, "GET", "/live/<ident:batch_id>")
def batch(batch_id: int) -> Response:
    """Stream an event at once, and whenever the batch has changed since. 404 where there is none."""
    pulse = services().batch_page.pulse
    pulse(batch_id)
    return stream(_Watch(f"batch-{batch_id}", lambda: pulse(batch_id)).new, LOOK_SECONDS)


class _Watch:
    """Compares what is with what was when it was last told."""

    def __init__(self, event: str, look: Callable[[], Any]) -> None:
        self._event, self._look, self._seen, self._once_more = event, look, object(), False

    def new(self) -> Iterator[str]:
        try:
            found = self._look()
        except NotFound:  # put away meanwhile: the page says so when it looks
            found = None
        is_new = found != self._seen
        if is_new or self._once_more:  # what was answered at once may have been kept from a moment before
            self._seen, self._once_more = found, is_new
            yield f"event: {self._event}\ndata: changed\n\n"


def _all_batches(built: Services) -> Any:
    counts = built.queries.batches_by_state()
    is_moving = any(counts.get(state) for state in _AT_WORK)
    return built.queries.last_change(), counts, int(time.monotonic() / MOVING_SECONDS) if is_moving else 0
