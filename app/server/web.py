"""gunicorn, embedded: its settings, its hooks, and an arbiter that also looks after the embedded worker."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import click
import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from prometheus_client import multiprocess

from app import create_app
from app.server.address import base_url
from app.server.admin_token import ADMIN_TOKEN_FILE, read_admin_token
from app.server.embedded_worker import EmbeddedWorker
from app.server.web_process import WebProcess
from app.services import Services
from config import Config

log = structlog.get_logger(__name__)

GRACE_SECONDS = 10
KEEPALIVE_SECONDS = 75  # longer than the 60 s for which load balancers keep a connection
STALLED_SECONDS = 60  # a web process whose main loop stood still that long is replaced
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - the heartbeat files of web processes must not wait for a disk


class GunicornLog(Logger):  # type: ignore[misc]
    """gunicorn's own lines go the way of all others: see app/logging.py."""

    def setup(self, cfg: Any) -> None:
        self.error_log.propagate = True
        self.access_log.propagate = True
        self.loglevel = self.error_log.getEffectiveLevel()


class WebApplication(BaseApplication):  # type: ignore[misc]
    """What gunicorn is told: the settings, and how a web process makes its application after the fork."""

    def __init__(self, config: Config, listener: socket.socket, sign_in_url: str) -> None:
        self.config = config
        self._sign_in_url = sign_in_url
        self._listener = listener.detach()  # gunicorn owns it from here
        super().__init__(prog="interlock")

    def load_config(self) -> None:
        settings = {
            "bind": f"fd://{self._listener}",
            "workers": self.config.workers,
            "worker_class": WebProcess,
            "threads": self.config.threads,
            "worker_tmp_dir": str(MEMORY_FOLDER) if os.access(MEMORY_FOLDER, os.W_OK) else None,
            "timeout": STALLED_SECONDS,
            "graceful_timeout": GRACE_SECONDS,
            "keepalive": KEEPALIVE_SECONDS,
            "control_socket_disable": True,
            "proc_name": "interlock",
            "logger_class": GunicornLog,
            "when_ready": self._announce,
            "post_worker_init": begin_web_process,
            "worker_exit": end_web_process,
            "child_exit": forget_metrics,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return create_app(self.config)

    def _announce(self, _: Arbiter) -> None:
        url = base_url(self.config)
        from_file = self.config.admin_token == read_admin_token()
        click.echo(f"Interlock is at {url}")
        click.echo(f"Sign in, once and within an hour: {self._sign_in_url}")
        click.echo(f"API documentation: {url}/api/docs")
        click.echo(f"token: see {shown_path(ADMIN_TOKEN_FILE)}" if from_file else "token: the value of ADMIN_TOKEN")
        secret = f"$(cat {shown_path(ADMIN_TOKEN_FILE)})" if from_file else "$ADMIN_TOKEN"
        click.echo(f'  curl -H "Authorization: Bearer {secret}" {url}/api/batches')
        click.echo("Ctrl-C stops it.")


class InterlockArbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's arbiter, which also watches the embedded worker, and stops it before the web processes."""

    def __init__(self, web: WebApplication, worker: EmbeddedWorker | None) -> None:
        self._worker = worker
        super().__init__(web)

    def manage_workers(self) -> None:
        super().manage_workers()
        if self._worker:
            self._worker.watch()  # gunicorn reaps every child: Popen then only learns that the worker is gone

    def handle_int(self) -> None:
        """Ctrl-C stops as SIGTERM does: in order, within GRACE_SECONDS."""
        raise StopIteration

    def stop(self, graceful: bool = True) -> None:
        if self._worker:
            self._worker.stop(GRACE_SECONDS)
        super().stop(graceful)


def shown_path(path: Path) -> str:
    """Shorten a path that lies under the folder in which the operator stands."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _services(worker: Any) -> Services:
    services: Services = worker.wsgi.extensions["interlock"]
    return services


def begin_web_process(worker: Any) -> None:
    """Start what lives beside the requests of one web process."""
    # Ctrl-C on a terminal reaches every process of the group: only the arbiter acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    services = _services(worker)

    def stop(number: int, frame: Any) -> None:
        services.queue.stopping.set()  # requests that wait, and streams, end at once and hold no shutdown
        worker.handle_exit(number, frame)

    signal.signal(signal.SIGTERM, stop)
    if worker.app.config.sweeper:
        services.sweeper.start()


def end_web_process(_: Arbiter, worker: Any) -> None:
    """Stop it again, and hand the connections back."""
    if getattr(worker, "wsgi", None) is None:  # it did not get as far as an application
        return
    _services(worker).sweeper.stop()
    _services(worker).engine.dispose()


def forget_metrics(_: Arbiter, worker: Any) -> None:
    """Drop the gauges of a web process that is gone."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
