"""A WSGI server that slow clients cannot stop: waitress, with a deadline for each part of a connection's work.

One thread reads requests and writes answers for all connections; a request is given to a thread of the application
when it is there whole, and an answer leaves the thread as soon as it fits into the buffer of its connection. Bodies and
answers above a megabyte lie in unlinked files. What waitress does not limit is limited here, once a second:

1. The head of a request is there within HEAD_SECONDS, a body arrives at BODY_BYTES_PER_SECOND or faster.
2. A client that takes nothing of its answer for READER_SECONDS is dropped; the thread that answers it is free again.
3. A connection that is idle between two requests is closed after `keepalive_seconds`.
"""

import socket
import time
from collections.abc import Callable
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

HEAD_SECONDS = 10
BODY_SECONDS = 30  # before the pace of a body is looked at
BODY_BYTES_PER_SECOND = 8 * 1024
READER_SECONDS = 10
MOST_CONNECTIONS = 2_000
HEAD_BYTES = 64 * 1024
ANSWER_BYTES = 8 * 1024 * 1024  # of an answer that its reader has not taken, before its thread has to wait


class Connection(HTTPChannel):  # type: ignore[misc]
    """A client's connection; knows since when it waits for a request to be whole."""

    began_at: float | None = None  # of the request that is being read

    def received(self, data: bytes) -> bool:
        if self.request is None and self.began_at is None:
            self.began_at = time.time()
        taken: bool = super().received(data)
        if self.request is None:
            self.began_at = None
        return taken

    def check_client_disconnected(self) -> bool:
        """Whether the client has gone: looked up at its socket, which nobody reads while a request is answered."""
        if not self.connected:
            return True
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
        except BlockingIOError:
            return False
        except OSError:
            return True

    def overdue(self, now: float, keepalive_seconds: float) -> bool:
        """Whether this connection has to be closed: its client is too slow, or was silent for too long."""
        silent_seconds: float = now - self.last_activity
        if self.total_outbufs_len:
            return silent_seconds > READER_SECONDS
        if self.requests:  # the application is at work
            return False
        if self.began_at is None or self.request is None:
            return silent_seconds > keepalive_seconds
        if not self.request.headers_finished:
            return now - self.began_at > HEAD_SECONDS
        seconds = now - self.began_at
        body_bytes: int = self.request.body_bytes_received
        return seconds > BODY_SECONDS and body_bytes < seconds * BODY_BYTES_PER_SECOND


class BufferedServer(TcpWSGIServer):  # type: ignore[misc]
    """Serves `application` on a listening socket with `threads` threads; `serve_once` is called in a loop."""

    channel_class = Connection

    def __init__(
        self,
        application: Callable[..., Any],
        listener: socket.socket,
        threads: int,
        keepalive_seconds: float,
        most_body_bytes: int,
    ) -> None:
        adjustments = Adjustments(
            sockets=[listener],
            threads=threads,
            ident="",
            cleanup_interval=1,
            connection_limit=MOST_CONNECTIONS,
            outbuf_high_watermark=ANSWER_BYTES,
            max_request_header_size=HEAD_BYTES,
            max_request_body_size=most_body_bytes + 1,
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=False,
            log_socket_errors=False,
        )
        self._keepalive_seconds = keepalive_seconds
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(threads)
        address = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(
            application,
            map={},
            _sock=listener,
            dispatcher=dispatcher,
            adj=adjustments,
            bind_socket=False,
            sockinfo=address,
        )

    def serve_once(self, seconds: float = 1.0) -> None:
        """Read and write what is ready on any connection; wait for it for up to `seconds`."""
        self.asyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)

    def maintenance(self, now: float) -> None:
        """Close what is overdue. Called by waitress once a second."""
        for connection in list(self.active_channels.values()):
            if connection.overdue(now, self._keepalive_seconds):
                connection.handle_close()

    def finish(self, seconds: float) -> None:
        """Take no new connection; answer the requests that are there, for up to `seconds`, and stop."""
        self.accepting = False
        self.del_channel()
        self.socket.close()
        deadline = time.monotonic() + seconds
        while self._busy() and time.monotonic() < deadline:
            self.serve_once(0.1)
        self.task_dispatcher.shutdown(timeout=1)
        for connection in list(self.active_channels.values()):
            connection.handle_close()
        self.trigger.close()

    def _busy(self) -> bool:
        connections = self.active_channels.values()
        return any(connection.requests or connection.total_outbufs_len for connection in connections)
