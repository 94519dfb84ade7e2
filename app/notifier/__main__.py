"""Read an order from standard input, carry it out, and write what became of it to standard output, both as JSON.

The order is `{"url", "allowed", "seconds", "title", "text"}`; without a text, the URL is only checked. The answer is
`{"done", "error"}`.
"""

import json
import logging
import os
import sys
from ipaddress import ip_network
from typing import Any

from app.domain.webhook.notification_urls import without_secrets
from app.notifier import guard

LONGEST_ERROR = 300


class _Warnings(logging.Handler):
    """Keeps what apprise says when something goes wrong."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Send a digest, or only check the URL; say what became of it, without the secrets of the URL."""
    refused = guard.install([ip_network(each) for each in order["allowed"]], order["seconds"])
    # Imported under the guard. It takes a second, which the service does not spend.
    from apprise import Apprise, AppriseAsset, NotifyFormat, OverflowMode

    logger, warnings = logging.getLogger("apprise"), _Warnings()
    logger.handlers, logger.propagate = [warnings], False
    asset = AppriseAsset(
        app_id="Interlock", app_desc="Interlock", app_url="", async_mode=False, allow_templates=False,
        storage_mode="memory", http_redirects=False,
    )  # fmt: skip
    service = Apprise.instantiate(order["url"], asset)
    if service is None:
        return {"done": False, "error": "apprise does not take this URL"}
    if "text" not in order:
        return {"done": True, "error": None}
    service.socket_connect_timeout = service.socket_read_timeout = order["seconds"]  # its own are 4 s
    service.overflow_mode = OverflowMode.SPLIT  # where a service takes short texts only
    sender = Apprise(asset=asset)
    sender.add(service)
    done = sender.notify(body=order["text"], title=order["title"], body_format=NotifyFormat.TEXT)
    error = " ".join(refused or warnings.messages) or "apprise did not deliver it"
    return {"done": bool(done), "error": None if done else without_secrets(error, order["url"])[:LONGEST_ERROR]}


def main() -> None:
    """Answer on what was standard output; what a library prints goes nowhere."""
    answer, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    for each in (1, 2):
        os.dup2(nowhere, each)
    outcome = carry_out(json.load(sys.stdin))
    os.write(answer, json.dumps(outcome).encode())


if __name__ == "__main__":
    main()
