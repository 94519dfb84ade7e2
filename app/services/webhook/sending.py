"""One try to send a message: an HTTP request to a receiver, with limits on its time and on where it may go.

1. The name in the URL is resolved anew at each try, and every address that it has is checked.
2. The connection goes to the address that was checked: a name that leads elsewhere a moment later changes nothing.
3. No redirect is followed, and no proxy of the environment is used.
4. SECONDS are for all of it, also where a receiver sends its answer byte by byte. Of the answer only the status counts.
"""

import io
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import orjson

from app.domain.webhook.addresses import Network, objection_to_address, objection_to_url, port_of
from app.domain.webhook.retries import retry_after_seconds
from app.domain.webhook.signatures import headers
from app.services.message.deliveries import DueDelivery, Outcome

SECONDS = 15.0  # for the connection and the answer
MOST_ANSWER_BYTES = 64 * 1024  # that are read, and thrown away, so that the receiver can send its answer
USER_AGENT = "Interlock-Webhooks/1"


@dataclass(frozen=True)
class Sender:
    """Sends messages; `allowed` are the private networks that they may be sent to."""

    allowed: Sequence[Network]

    def send(self, delivery: DueDelivery) -> Outcome:
        """Send a message once. Whatever goes wrong is an outcome."""
        try:
            return self._send(delivery)
        except _NotAllowedError as error:
            return Outcome(error=str(error))
        except TimeoutError:
            return Outcome(error=f"The receiver did not answer within {SECONDS:.0f} s.")
        except socket.gaierror:
            return Outcome(error="The name in the URL has no address.")
        except ssl.SSLCertVerificationError as error:
            return Outcome(error=f"The certificate is not valid: {error.verify_message}.")
        except ssl.SSLError as error:
            return Outcome(error=f"TLS failed: {_short(error)}.")
        except (OSError, HTTPException, UnicodeError) as error:
            return Outcome(error=f"The connection failed: {_short(error) or type(error).__name__}.")

    def objection_to(self, url: str) -> str | None:
        """Say why a URL is refused already when it is given: its form, or an address in it; None if it is not.

        A name is not resolved here: where it leads may be different at each try.
        """
        if objection := objection_to_url(url):
            return objection
        parts = urlsplit(url)
        try:  # every way to write an address, such as 127.1 or 0x7f000001
            found = socket.getaddrinfo(parts.hostname, port_of(parts), flags=socket.AI_NUMERICHOST)
        except (socket.gaierror, UnicodeError):
            return None
        return next(filter(None, (objection_to_address(str(each[4][0]), self.allowed) for each in found)), None)

    def _send(self, delivery: DueDelivery) -> Outcome:
        deadline = time.monotonic() + SECONDS
        parts = urlsplit(delivery.url)
        host = parts.hostname or ""
        body = orjson.dumps(delivery.body)
        signed = headers(delivery.message_id, int(time.time()), body, delivery.secrets)
        connection = HTTPConnection(host, port_of(parts))
        try:
            connection.sock = self._connect(host, port_of(parts), parts.scheme == "https", deadline)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            sent = {"Content-Type": "application/json", "User-Agent": USER_AGENT, "Host": _host_header(parts.netloc)}
            connection.request("POST", target, body, {**sent, **signed})
            return _outcome(connection.getresponse())
        finally:
            connection.close()

    def _connect(self, host: str, port: int, tls: bool, deadline: float) -> Any:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for *_, address in found:
            if objection := objection_to_address(str(address[0]), self.allowed):
                raise _NotAllowedError(f"{objection}.")
        family, _, _, _, checked = found[0]
        connected = socket.socket(family, socket.SOCK_STREAM)
        try:
            connected.settimeout(_left(deadline))
            connected.connect(checked)
            if tls:
                connected = _CONTEXT.wrap_socket(connected, server_hostname=host)
        except BaseException:
            connected.close()
            raise
        return _TimedSocket(connected, deadline)


class _NotAllowedError(Exception):
    """The URL leads to an address that may not be called."""


class _TimedSocket:
    """What http.client needs of a socket, with one deadline for all reads and writes together."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected, self._deadline = connected, deadline

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(_left(self._deadline))
        self._connected.sendall(data)

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._connected, self._deadline))

    def close(self) -> None:
        self._connected.close()


class _TimedReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected, self._deadline = connected, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connected.settimeout(_left(self._deadline))
        return self._connected.recv_into(buffer)


_CONTEXT = ssl.create_default_context()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _host_header(netloc: str) -> str:
    return netloc.rpartition("@")[2]


def _outcome(response: HTTPResponse) -> Outcome:
    status = response.status
    retry_after = retry_after_seconds(response.getheader("Retry-After"), datetime.now(UTC))
    with suppress(OSError, HTTPException):  # it has the message: the status says what it made of it
        response.read(MOST_ANSWER_BYTES)
    if 200 <= status < 300:
        return Outcome(status)
    why = "which is a redirect: none is followed" if 300 <= status < 400 else "and not 2xx"
    return Outcome(status, f"The receiver answered {status}, {why}.", retry_after)


def _short(error: object) -> str:
    text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return text[:300].rstrip(".")
