"""gunicorn in this process: its settings, its hooks, and an arbiter that also watches the embedded worker."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from prometheus_client import multiprocess

from app import create_app
from app.server.address import base_url
from app.server.admin_token import KEPT_TOKEN, read_admin_token
from app.server.allocator import keep_little
from app.server.embedded_worker import EmbeddedWorker
from app.server.http.buffered_worker import BufferedWorker
from app.services import Services
from app.tracing import setup
from app.tracing.tracer import tracer
from config import Config

GRACE_SECONDS = 10
STALLED_SECONDS = 60  # a web process whose main loop did not run for this time is replaced
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - on a disk, the heartbeat files of web processes could block


class GunicornLog(Logger):  # type: ignore[misc]
    """Passes gunicorn's own log lines on to the root logger: see app/logging.py."""

    def setup(self, cfg: Any) -> None:
        self.error_log.propagate = True
        self.access_log.propagate = True
        self.loglevel = self.error_log.getEffectiveLevel()


class WebApplication(BaseApplication):  # type: ignore[misc]
    """Gives gunicorn its settings, and makes the application of a web process after the fork."""

    def __init__(self, config: Config, listener: socket.socket, sign_in_url: str) -> None:
        self.config = config
        self._sign_in_url = sign_in_url
        self._listener = listener.detach()  # gunicorn closes it
        super().__init__(prog="interlock")

    def load_config(self) -> None:
        settings = {
            "bind": f"fd://{self._listener}",
            "workers": self.config.workers,
            "worker_class": BufferedWorker,
            "threads": self.config.threads,
            "worker_tmp_dir": str(MEMORY_FOLDER) if os.access(MEMORY_FOLDER, os.W_OK) else None,
            "timeout": STALLED_SECONDS,
            "graceful_timeout": GRACE_SECONDS,
            "keepalive": self.config.keepalive_seconds,
            "control_socket_disable": True,
            "proc_name": "interlock",
            "logger_class": GunicornLog,
            "when_ready": self._announce,
            "post_worker_init": start_web_process,
            "worker_exit": stop_web_process,
            "child_exit": remove_metrics,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        setup.start("interlock")
        return create_app(self.config)

    def _announce(self, _: Arbiter) -> None:
        url = base_url(self.config)
        from_file = self.config.admin_token == read_admin_token()
        click.echo(f"Interlock is at {url}")
        click.echo(f"Sign in, once and within an hour: {self._sign_in_url}")
        click.echo(f"API documentation: {url}/api/docs")
        click.echo(f"token: see {shown_path(KEPT_TOKEN)}" if from_file else "token: the value of ADMIN_TOKEN")
        secret = f"$(cat {shown_path(KEPT_TOKEN)})" if from_file else "$ADMIN_TOKEN"
        click.echo(f'  curl -H "Authorization: Bearer {secret}" {url}/api/batches')
        click.echo("Ctrl-C stops it.")


class InterlockArbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's arbiter. It also watches the embedded worker, and stops it before the web processes."""

    def __init__(self, web: WebApplication, worker: EmbeddedWorker | None) -> None:
        self._worker = worker
        super().__init__(web)

    def manage_workers(self) -> None:
        super().manage_workers()
        if self._worker:
            self._worker.watch()  # gunicorn reaps every child: Popen only sees that the worker is gone

    def handle_int(self) -> None:
        """Stop on Ctrl-C as on SIGTERM: in order, within GRACE_SECONDS."""
        raise StopIteration

    def stop(self, graceful: bool = True) -> None:
        if self._worker:
            self._worker.stop(GRACE_SECONDS)
        super().stop(graceful)


def shown_path(path: Path) -> str:
    """Shorten a path below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _services(worker: Any) -> Services:
    services: Services = worker.wsgi.extensions["interlock"]
    return services


def start_web_process(worker: Any) -> None:
    """Install the signal handlers of a web process and start its sweeper."""
    keep_little()
    # Ctrl-C on a terminal reaches every process of the group. Only the arbiter handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    services = _services(worker)

    def stop(number: int, frame: Any) -> None:
        services.queue.stopping.set()  # waiting requests and streams end at once, so that they do not delay the stop
        worker.handle_exit(number, frame)

    signal.signal(signal.SIGTERM, stop)
    if worker.app.config.sweeper:
        services.sweeper.start()


def stop_web_process(_: Arbiter, worker: Any) -> None:
    """Stop the sweeper, close the database connections and send the last spans."""
    if getattr(worker, "wsgi", None) is None:  # it died before its application was made
        return
    _services(worker).sweeper.stop()
    _services(worker).engine.dispose()
    tracer().close()


def remove_metrics(_: Arbiter, worker: Any) -> None:
    """Remove the gauges of a web process that has ended."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
