"""A web process: what gunicorn's arbiter forks, watches and stops. It serves the application with BufferedServer."""

import os

from gunicorn.workers.base import Worker

from app.server.http.buffered_server import BufferedServer

NOTICE_SECONDS = 1.0  # between two notices to the arbiter that this process is alive
MULTIPART_BYTES = 64 * 1024  # of a multipart body, beside a file of the largest size


class BufferedWorker(Worker):  # type: ignore[misc]
    """gunicorn's worker of this name: `worker_class`."""

    def run(self) -> None:
        """Serve until SIGTERM, or until the arbiter is gone."""
        config = self.app.config
        server = BufferedServer(
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
