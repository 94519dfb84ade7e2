"""The courier: what the leader does for webhooks at each pass. It makes messages, and begins to send them."""

import time

from sqlalchemy import Engine

from app.db import reading
from app.services.message.deliveries import webhooks_with_due
from app.services.message.outbox import Outbox
from app.services.webhook.lanes import Lanes
from app.services.webhook.notifying import Notifier
from app.services.webhook.sending import Sender
from app.services.webhook.warnings import warn

WARN_SECONDS = 10.0


class Courier:
    """Brings messages to webhooks, in the process that leads."""

    def __init__(self, engine: Engine, sender: Sender, notifier: Notifier) -> None:
        self._engine = engine
        self._outbox = Outbox(engine)
        self._lanes = Lanes(engine, sender.send, notifier.send)
        self._warned_at: float | None = None

    def make_messages(self) -> None:
        """Make the messages of what happened since the last pass. It sends nothing, and so waits for nobody."""
        self._outbox.make()
        if self._warned_at is None or time.monotonic() - self._warned_at > WARN_SECONDS:
            self._warned_at = time.monotonic()
            warn(self._engine)

    def send(self, inline: bool) -> None:
        """Begin to send what is due, beside the caller; or with `inline` send it all."""
        with reading(self._engine) as connection:
            found = webhooks_with_due(connection)
        self._lanes.go_on()
        if not inline:
            self._lanes.begin(found)
            return
        for webhook_id, its_format in found.items():
            self._lanes.empty(webhook_id, its_format)

    def stop(self) -> None:
        """Send nothing more after what is under way: this process does not lead any more."""
        self._lanes.stop()
