"""A web process: what gunicorn's arbiter forks, watches and stops. It serves the application with BufferedServer."""

import os
from typing import Any

from gunicorn.workers.base import Worker

from app.server.http.buffered_server import BufferedServer

NOTICE_SECONDS = 1.0  # between two notices to the arbiter that this process is alive
MULTIPART_BYTES = 64 * 1024  # of a multipart body, beside a file of the largest size


class BufferedWorker(Worker):  # type: ignore[misc]
    """gunicorn's worker of this name: `worker_class`."""

    _server: BufferedServer | None = None

    def run(self) -> None:
        """Serve until SIGTERM, or until the arbiter is gone."""
        config = self.app.config
        self._server = server = BufferedServer(
            self.wsgi,
            self.sockets[0].sock,
            config.threads,
            self.cfg.keepalive,
            max(config.max_body_bytes, config.max_jsonl_bytes) + MULTIPART_BYTES,
        )
        while self.alive and self.ppid == os.getppid():
            self.notify()
            server.serve(NOTICE_SECONDS)
        server.finish(self.cfg.graceful_timeout)

    def handle_exit(self, number: int, frame: Any) -> None:
        """Handle SIGTERM: stop at once, and not when the next notice is due."""
        super().handle_exit(number, frame)
        if self._server:
            self._server.interrupt()
