"""What is sent to a client. What the client does not take at once is kept, so that the sender need not wait for it."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from threading import Condition

SPOOL_BYTES = 1024 * 1024  # more than this lies in an unlinked file
KEPT_BYTES = 8 * 1024 * 1024  # beyond this, the sender waits for the client
PART_BYTES = 256 * 1024


class ClientGone(Exception):
    """The connection is closed: nothing more can be sent."""


class Outgoing:
    """The sending side of a connection. Threads call `send`, and the server's loop calls `flush` and `close`."""

    def __init__(self, client: socket.socket, flush_later: Callable[[], None]) -> None:
        self.is_open = True
        self.kept_bytes = 0
        self.taken_at = time.monotonic()  # when the client last took something
        self._client = client
        self._flush_later = flush_later
        self._kept = SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - closed by `close`
        self._taken_bytes = 0  # of the file
        self._changed = Condition()

    def send(self, data: bytes) -> None:
        """Send, or keep what the client does not take; wait while it has to take very much. Raises ClientGone."""
        with self._changed:
            self._send_or_keep(data)
            while self.kept_bytes > KEPT_BYTES:
                self._changed.wait()
            if not self.is_open:
                raise ClientGone

    def send_without_wait(self, data: bytes) -> None:
        """Send a few bytes, or keep them. The loop may call it. Raises ClientGone."""
        with self._changed:
            self._send_or_keep(data)

    def flush(self) -> None:
        """Send of what is kept as much as the client takes. Raises ClientGone."""
        with self._changed:
            while self.kept_bytes:
                self._kept.seek(self._taken_bytes)
                part = self._kept.read(PART_BYTES)
                sent = self._send(part)
                self._taken_bytes += sent
                self.kept_bytes -= sent
                if sent < len(part):
                    break
            if self._taken_bytes and (not self.kept_bytes or self._taken_bytes > KEPT_BYTES):
                self._forget_taken()
            self._changed.notify()

    def close(self) -> None:
        """Close the connection. A sender that waits gets ClientGone."""
        with self._changed:
            self.is_open = False
            self.kept_bytes = 0
            self._client.close()
            with suppress(OSError):  # the disk is full: what is kept cannot be written, and nobody reads it
                self._kept.close()
            self._changed.notify()

    def _send_or_keep(self, data: bytes) -> None:
        if not self.is_open:
            raise ClientGone
        sent = 0 if self.kept_bytes else self._send(data)
        if sent < len(data):
            self._keep(memoryview(data)[sent:])
            self._flush_later()

    def _send(self, data: bytes) -> int:
        try:
            sent = self._client.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise ClientGone from error
        self.taken_at = time.monotonic()
        return sent

    def _forget_taken(self) -> None:
        self._kept.seek(self._taken_bytes)
        left = self._kept.read()
        self._kept.seek(0)
        self._kept.truncate()
        self._kept.write(left)
        self._taken_bytes = 0

    def _keep(self, data: memoryview) -> None:
        self._kept.seek(0, 2)
        self._kept.write(data)
        self.kept_bytes += len(data)
