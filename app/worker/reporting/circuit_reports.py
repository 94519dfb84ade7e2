"""Reports to the service what calls of connections have shown: by one thread, the newest of each connection."""

import threading
from collections.abc import Callable
from typing import Any

import structlog

from app.worker.connections.circuit import Change, Circuit
from app.worker.service.client import Client
from app.worker.service.retries import call_with_retries
from app.worker.service.service_answers import Refused, Unauthorized

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 0.5  # between two reports
MAX_CONNECTIONS = 100  # that the API takes in one request
MAX_MESSAGE = 1_000  # characters
MAX_RETRY_AFTER_SECONDS = 7 * 86_400.0
Place = tuple[Circuit, str | None]  # a circuit and one model of it, or all


class CircuitReports:
    """`run` reports until `stopped` is set. `on_closed` is called, before the report, when a circuit was closed."""

    def __init__(self, client: Client, circuits: list[Circuit], on_closed: Callable[[], None]) -> None:
        self._client = client
        self._on_closed = on_closed
        self._changed = threading.Condition()
        self._newest: dict[Place, Change] = {}
        self._amounts: dict[Place, int] = {}  # of changes that the newest one stands for
        self._is_ignored = False  # by an older service
        for circuit in circuits:
            circuit.report = self._putter(circuit)

    def run(self, stopped: threading.Event) -> None:
        """Raises Unauthorized."""
        while not stopped.is_set():
            with self._changed:
                self._changed.wait_for(lambda: bool(self._newest), PAUSE_SECONDS)
                is_closed = any(change.outcome == "failed" for change in self._newest.values())
            if is_closed:
                self._on_closed()
            if self._newest:
                call_with_retries(self._send, lambda *_: not stopped.is_set())
                stopped.wait(PAUSE_SECONDS)

    def _putter(self, circuit: Circuit) -> Callable[[Change], None]:
        def put(change: Change) -> None:
            with self._changed:
                place = circuit, change.model
                self._newest[place] = change
                self._amounts[place] = self._amounts.get(place, 0) + 1
                self._changed.notify_all()

        return put

    def _send(self) -> None:
        """Send the newest changes. Raises Unavailable and Unauthorized."""
        with self._changed:
            sent = dict(list(self._newest.items())[:MAX_CONNECTIONS])
            amounts = {place: self._amounts[place] for place in sent}
        items = [_item(name, change) for (circuit, _), change in sent.items() for name in circuit.names]
        try:
            if not self._is_ignored:
                for start in range(0, len(items), MAX_CONNECTIONS):
                    self._client.report_connections(items[start : start + MAX_CONNECTIONS])
        except Unauthorized:
            raise
        except Refused as refusal:
            self._is_ignored = refusal.status == 404
            reason = "The service does not know connections: it is older." if self._is_ignored else str(refusal)
            log.warning("connections_not_reported", reason=reason)
        self._settle(sent, amounts)

    def _settle(self, sent: dict[Place, Change], amounts: dict[Place, int]) -> None:
        with self._changed:
            for place, change in sent.items():
                self._amounts[place] -= amounts[place]
                if self._newest[place] is change:
                    del self._newest[place], self._amounts[place]
        for place in sent:
            place[0].answered(amounts[place])


def _item(connection: str, change: Change) -> dict[str, Any]:
    seconds = change.retry_after_seconds
    return {
        "connection": connection,
        "model": change.model,
        "outcome": change.outcome,
        "class": change.error_class,
        "message": change.message and change.message[:MAX_MESSAGE],
        "retry_after_seconds": None if seconds is None else min(seconds, MAX_RETRY_AFTER_SECONDS),
    }
