"""A WSGI server that slow clients cannot stop, and that costs little.

One thread, the loop, reads the requests of all connections. A request is given to a thread of the application when it
is there whole, and an answer leaves that thread as soon as the system or the connection's buffer has taken it. Large
bodies and answers lie in unlinked files. At the end of `serve`, which is called once a second, connections are closed:

1. The head of a request is there within HEAD_SECONDS, a body arrives at BODY_BYTES_PER_SECOND or faster.
2. A client that takes nothing of its answer for READER_SECONDS is dropped; the thread that answers it is free again.
3. A connection that is idle between two requests is closed after `keepalive_seconds`.

After a connection the loop takes no other for LET_OTHERS_SECONDS, so that connections which come together are spread
over all processes: a client keeps its own, and a process has the work of one processor at most.

Only the loop touches the selector. A connection stays registered for reading while its request is answered, so that an
exchange needs no further system call than one to wait, one to receive and one to send.
"""

import selectors
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

import structlog

from app.server.http.answer import Application
from app.server.http.connection import Connection
from app.server.http.outgoing import ClientGone
from app.server.http.request import Environ

MOST_CONNECTIONS = 2_000
LET_OTHERS_SECONDS = 0.001

log = structlog.get_logger()


class BufferedServer:
    """Serves `application` on a listening socket with `threads` threads; `serve` is called in a loop."""

    def __init__(
        self,
        application: Application,
        listener: socket.socket,
        threads: int,
        keepalive_seconds: float,
        most_body_bytes: int,
    ) -> None:
        self._application = application
        self._listener = listener
        self._keepalive_seconds = keepalive_seconds
        self._most_body_bytes = most_body_bytes
        self._environ = _environ_of(listener)
        self._connections: dict[Connection, int] = {}  # with the events that the selector waits for
        self._ready: SimpleQueue[Connection | None] = SimpleQueue()  # of connections with a request to answer
        self._changed: deque[Connection] = deque()
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._threads = [Thread(target=self._answer, name=f"request-{n}", daemon=True) for n in range(threads)]
        for each in (listener, self._woken, self._waker):
            each.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, self._woken)
        self._selector.register(listener, selectors.EVENT_READ, listener)
        self._accepts, self._is_finishing, self._returns = True, False, False
        self._lets_others_until = 0.0  # 0: they need not be let
        for thread in self._threads:
            thread.start()

    def serve(self, seconds: float) -> None:
        """Serve all connections for about `seconds`, then close those that are overdue. To be called in a loop."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._returns:
            for key, events in self._selector.select(LET_OTHERS_SECONDS if self._lets_others_until else left):
                if isinstance(key.data, Connection):
                    self._serve(key.data, events)
                elif key.data is self._listener:
                    self._accept()
                else:
                    self._look_at_changed()
            if self._lets_others_until and time.monotonic() >= self._lets_others_until:
                self._accept_again()
        self._look_at_deadlines(time.monotonic())

    def interrupt(self) -> None:
        """Let `serve` return at once, until `finish` is called. For a signal handler."""
        self._returns = True
        self._wake()

    def finish(self, seconds: float) -> None:
        """Take no new connection and no new request; answer the requests that are there, for up to `seconds`."""
        self._is_finishing, self._returns = True, False
        self._accept_connections(False)
        self._listener.close()
        for connection in list(self._connections):
            connection.finish()
            self._look_at(connection)
        deadline = time.monotonic() + seconds
        while self._is_busy() and time.monotonic() < deadline:
            self.serve(0.1)
        for connection in list(self._connections):
            self._close(connection)
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._selector.close()
        self._woken.close()
        self._waker.close()

    def _answer(self) -> None:
        """Run in each thread: answer requests until the server has stopped."""
        while (connection := self._ready.get()) is not None:
            if connection.answer_one(self._application):
                self._ready.put(connection)  # behind the others

    def _serve(self, connection: Connection, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                connection.outgoing.flush()
                self._look_at(connection)
            if events & selectors.EVENT_READ:
                if connection.receive():
                    self._ready.put(connection)
                if not connection.wants_to_read:
                    self._look_at(connection)
        except ClientGone:
            self._close(connection)
        except Exception:
            log.exception("connection_failed")
            self._close(connection)

    def _accept(self) -> None:
        try:
            client, address = self._listener.accept()
        except (BlockingIOError, ConnectionError):  # another process took it, or the client has gone
            return
        except OSError as error:  # this process has as many files open as it may: the next look tries again
            log.warning("accept_failed", reason=str(error))
            self._accept_connections(False)
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        environ = {**self._environ, "REMOTE_ADDR": str(address[0]), "REMOTE_PORT": str(address[1])}
        connection = Connection(client, environ, self._most_body_bytes, self._look_later)
        self._connections[connection] = selectors.EVENT_READ
        self._selector.register(client, selectors.EVENT_READ, connection)
        self._accept_connections(False)
        self._lets_others_until = time.monotonic() + LET_OTHERS_SECONDS

    def _accept_again(self) -> None:
        self._lets_others_until = 0.0
        if not self._is_finishing and len(self._connections) < MOST_CONNECTIONS:
            self._accept_connections(True)

    def _accept_connections(self, accepts: bool) -> None:
        if accepts and not self._accepts:
            self._selector.register(self._listener, selectors.EVENT_READ, self._listener)
        elif self._accepts and not accepts:
            self._selector.unregister(self._listener)
        self._accepts = accepts

    def _look_later(self, connection: Connection) -> None:
        """Make the loop look at a connection. Called by any thread."""
        self._changed.append(connection)
        self._wake()

    def _wake(self) -> None:
        with suppress(OSError):  # the loop has not read yet what woke it before, or has ended
            self._waker.send(b"\0")

    def _look_at_changed(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4096)
        while self._changed:
            self._look_at(self._changed.popleft())

    def _look_at(self, connection: Connection) -> None:
        """Wait for what a connection wants now; close it if it is over."""
        if connection not in self._connections:
            return
        if connection.is_over:
            self._close(connection)
            return
        events = selectors.EVENT_READ if connection.wants_to_read else 0
        events |= selectors.EVENT_WRITE if connection.outgoing.kept_bytes else 0
        if events == self._connections[connection]:
            return
        if self._connections[connection]:
            self._selector.unregister(connection.client)
        if events:
            self._selector.register(connection.client, events, connection)
        self._connections[connection] = events

    def _close(self, connection: Connection) -> None:
        if self._connections.pop(connection, 0):
            self._selector.unregister(connection.client)
        connection.close()

    def _look_at_deadlines(self, now: float) -> None:
        for connection in list(self._connections):
            if connection.overdue(now, self._keepalive_seconds):
                self._close(connection)
        self._accept_again()

    def _is_busy(self) -> bool:
        return any(connection.requests or connection.outgoing.kept_bytes for connection in self._connections)


def _environ_of(listener: socket.socket) -> Environ:
    """What the environments of all requests have in common."""
    host, port = listener.getsockname()[:2]
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "",
        "QUERY_STRING": "",
        "SERVER_NAME": str(host),
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,  # the end of the body is the end of the file
    }
