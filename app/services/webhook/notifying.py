"""One try to send a digest: a process sends it by the library apprise, and is ended when its time is over.

The URL has secrets, so it goes to the process by its standard input. The process gets none of this one's environment,
but where the certificates are: no proxy, and no password of this service. What may be connected to is checked there.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from app.domain.webhook import digests
from app.domain.webhook.notification_urls import hosts_of, objection_to_notification_url
from app.services.message.deliveries import DueDelivery, Outcome
from app.services.webhook.sending import Sender

SECONDS = 30.0  # for the start of the process, the connections and the answers
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_ROOT = Path(__file__).parents[3]  # of app/, in a checkout or where the package is installed


@dataclass(frozen=True)
class Notifier:
    """Sends digests; `sender` knows the private networks that they may be sent to."""

    sender: Sender

    def send(self, deliveries: Sequence[DueDelivery]) -> Outcome:
        """Send messages of one webhook as one digest, once. Whatever goes wrong is an outcome."""
        bodies = [each.body for each in deliveries]
        digest = {"title": digests.title(bodies), "text": digests.text(bodies)}
        return Outcome(error=self._run(deliveries[0].url, **digest))

    def objection_to(self, url: str) -> str | None:
        """Say why a URL is refused already when it is given, as far as its form shows; None if it is not."""
        if objection := objection_to_notification_url(url):
            return objection
        hosts = (f"[{each}]" if ":" in each else quote(each) for each in hosts_of(url))
        return next(filter(None, (self.sender.objection_to(f"http://{each}/") for each in hosts)), None)

    def refusal_of(self, url: str) -> str | None:
        """Ask apprise whether it takes a URL; say why not, or None if it does. Nothing is sent."""
        refusal = self._run(url)
        return refusal and f"was refused: {refusal}"

    def _run(self, url: str, **digest: str) -> str | None:
        """Give an order to a process; say what went wrong, or None if nothing did."""
        allowed = [str(each) for each in self.sender.allowed]
        order = {"url": url, "allowed": allowed, "seconds": SECONDS, **digest}
        try:
            done = subprocess.run(
                [sys.executable, "-m", "app.notifier"], input=orjson.dumps(order), stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env=_environment(), cwd="/", timeout=SECONDS, check=True,
            )  # fmt: skip
            answer: Mapping[str, Any] = orjson.loads(done.stdout)
        except subprocess.TimeoutExpired:
            return f"It was not sent within {SECONDS:.0f} s."
        except (subprocess.SubprocessError, OSError, orjson.JSONDecodeError) as error:
            return f"The process that sends it has failed: {type(error).__name__}."
        return None if answer["done"] else f"{str(answer['error']).rstrip('.')}."


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _CERTIFICATES if name in os.environ}
    return {**kept, "PYTHONPATH": str(_ROOT), "PYTHONSAFEPATH": "1", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
