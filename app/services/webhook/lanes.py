"""Lanes: each webhook has threads of its own, so that a receiver that is slow delays no other one.

A lane begins when its webhook has messages that are due, and ends when it has none. Several messages are on their way
at a time, so they may arrive in another order. A process that dies between a delivery and its record delivers again.
"""

import threading
from collections.abc import Callable, Mapping, Sequence

import structlog
from sqlalchemy import Engine

from app.domain.webhook import digests
from app.domain.webhook.message_types import Format
from app.errors import Refusal
from app.services.message import deliveries
from app.services.message.deliveries import DueDelivery, Outcome, Tried

AT_ONCE = 4  # messages on their way to one receiver
CHUNK = 20  # messages whose outcomes are written in one transaction

log = structlog.get_logger()


class Lanes:
    """The lanes of this process. Their threads do not outlive it: a message under way is then sent again.

    `send` sends one message, `send_digest` several as one.
    """

    def __init__(
        self,
        engine: Engine,
        send: Callable[[DueDelivery], Outcome],
        send_digest: Callable[[Sequence[DueDelivery]], Outcome],
    ) -> None:
        self._engine = engine
        self._send = send
        self._send_digest = send_digest
        self._lock = threading.Lock()
        self._under_way: set[int] = set()
        self._stopping = threading.Event()

    def begin(self, webhooks: Mapping[int, Format]) -> None:
        """Begin the lanes of these webhooks, unless they are under way."""
        for webhook_id, its_format in webhooks.items():
            with self._lock:
                if webhook_id in self._under_way:
                    continue
                self._under_way.add(webhook_id)
            threading.Thread(target=self._run, args=(webhook_id, its_format), name="webhook-lane", daemon=True).start()

    def go_on(self) -> None:
        """Send again, after `stop`."""
        self._stopping.clear()

    def stop(self) -> None:
        """Send nothing more after what is under way."""
        self._stopping.set()

    def empty(self, webhook_id: int, its_format: Format) -> None:
        """Send all messages of a webhook that are due; as a digest, those that go into one."""
        is_digest = its_format is Format.APPRISE
        most = digests.MOST_MESSAGES if is_digest else CHUNK
        while not self._stopping.is_set() and (due := deliveries.due(self._engine, webhook_id, most)):
            if tried := [(due, self._send_digest(due))] if is_digest else self._send_all(due):
                deliveries.record(self._engine, webhook_id, tried)

    def _run(self, webhook_id: int, its_format: Format) -> None:
        try:
            self.empty(webhook_id, its_format)
        except Refusal as refusal:  # the database is busy or away: the next pass begins again
            log.warning("webhook_lane_refused", webhook_id=webhook_id, reason=refusal.detail)
        except Exception:
            log.exception("webhook_lane_failed", webhook_id=webhook_id)
        finally:
            with self._lock:
                self._under_way.discard(webhook_id)

    def _send_all(self, due: Sequence[DueDelivery]) -> list[Tried]:
        waiting = iter(due)
        tried: list[Tried] = []
        lock = threading.Lock()

        def work() -> None:
            while not self._stopping.is_set():
                with lock:
                    each = next(waiting, None)
                if each is None:
                    return
                outcome = self._send(each)
                with lock:
                    tried.append(([each], outcome))

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(due)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return tried
