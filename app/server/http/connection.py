"""A client's connection: the requests that have arrived on it, its answers, and its deadlines."""

import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from app.server.http.answer import Application, answer
from app.server.http.outgoing import ClientGone, Outgoing
from app.server.http.request import CLIENT_HAS_GONE, Environ, Request
from app.server.http.request_reader import RequestReader

HEAD_SECONDS = 10
BODY_SECONDS = 30  # before the pace of a body is looked at
BODY_BYTES_PER_SECOND = 8 * 1024
READER_SECONDS = 10
RECEIVE_BYTES = 64 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection:
    """The server's loop calls `receive` and `finish`, a thread of the application `answer_one`.

    `changed` makes the loop look anew.

    `requests` are those that are there whole; the first one is being answered. While a second one waits, nothing more
    is read.
    """

    def __init__(
        self,
        client: socket.socket,
        environ: Environ,
        most_body_bytes: int,
        changed: Callable[["Connection"], None],
    ) -> None:
        client.setblocking(False)
        self.client = client
        self.reader = RequestReader(environ, most_body_bytes)
        self.outgoing = Outgoing(client, lambda: changed(self))
        self.requests: deque[Request] = deque()
        self.heard_at = time.monotonic()  # when something arrived last
        self._changed = changed
        self._is_full = False
        self._is_finishing = False
        self._ends = False  # as soon as everything is sent
        self._lock = Lock()  # the loop adds requests, a thread removes them

    @property
    def wants_to_read(self) -> bool:
        return not (self._is_full or self._is_finishing or self._ends or self.reader.has_ended)

    @property
    def is_over(self) -> bool:
        """Whether everything is sent, and nothing is to come."""
        return self._ends and not self.outgoing.kept_bytes

    def receive(self) -> bool:
        """Read what has arrived; return whether a thread has to begin to answer. Raises ClientGone."""
        try:
            data = self.client.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            raise ClientGone from error
        if not data:
            raise ClientGone
        self.heard_at = time.monotonic()
        whole = self.reader.feed(data)
        with self._lock:
            begins = bool(whole) and not self.requests
            self.requests.extend(whole)
            self._is_full = len(self.requests) > 1
            self._continue_if_awaited()
        return begins

    def finish(self) -> None:
        """Read no further request; end when those that are there whole are answered. The last answer says so."""
        with self._lock:
            self._is_finishing = True
            if self.requests:
                self.requests[-1].keeps_connection = False
            else:
                self._ends = True

    def answer_one(self, application: Application) -> bool:
        """Answer the first request; return whether there is another one to answer."""
        request = self.requests[0]
        request.environ[CLIENT_HAS_GONE] = lambda: not self.outgoing.is_open
        stays = self.outgoing.is_open and answer(application, request, self.outgoing)
        with self._lock:
            self.requests.popleft()
            if not stays or (self._is_finishing and not self.requests):
                self._ends = True
                while self.requests:
                    self.requests.pop().close()
            was_full, self._is_full = self._is_full, len(self.requests) > 1
            self._continue_if_awaited()
            has_more = bool(self.requests)  # known under the lock: the loop begins with what it adds afterwards
        if self._ends or was_full:
            self._changed(self)
        return has_more

    def close(self) -> None:
        """Close the connection; what it has not sent is lost."""
        self._ends = True
        self.outgoing.close()

    def overdue(self, now: float, keepalive_seconds: float) -> bool:
        """Whether this connection has to be closed: its client is too slow, or was silent for too long."""
        if self.outgoing.kept_bytes:
            return now - self.outgoing.taken_at > READER_SECONDS
        if self.requests:  # the application is at work
            return False
        if self.reader.began_at is None:
            return now - max(self.heard_at, self.outgoing.taken_at) > keepalive_seconds
        seconds = now - self.reader.began_at
        if self.reader.body_bytes is None:
            return seconds > HEAD_SECONDS
        return seconds > BODY_SECONDS and self.reader.body_bytes < seconds * BODY_BYTES_PER_SECOND

    def _continue_if_awaited(self) -> None:
        """Ask for the body of a request whose client waits for that, when all answers before it are sent."""
        outstanding = len(self.requests) + (self.reader.began_at is not None)
        if self.reader.awaits_continue and outstanding == 1:
            self.reader.awaits_continue = False
            with suppress(ClientGone):  # the loop sees it, too
                self.outgoing.send_without_wait(CONTINUE)
