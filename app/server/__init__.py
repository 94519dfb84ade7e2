"""The server: gunicorn in this process, its web processes, and one embedded queue worker.

How it starts, in this order, so that what fails does so in one sentence, and before anything is changed:
1. the process executes itself again with a fresh folder for the metrics of its processes,
2. it takes the port, 3. migrates the database, 4. finds or makes the admin token and the worker's token,
5. forks the web processes. Each makes its own application, engine and sweeper: none of them survives a fork.

How it stops, on SIGTERM or Ctrl-C: first the embedded worker, which hands back and reports over the API that
still answers; then the web processes finish the requests they have, within GRACE_SECONDS.
"""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from app.db import migrate, translated_errors
from app.logging import configure
from app.server.address import base_url, take_port
from app.server.embedded_worker import EmbeddedWorker
from app.server.first_tokens import revoke_worker_token, with_admin_token, worker_token
from app.server.web import InterlockArbiter, WebApplication
from config import Config

METRICS = "PROMETHEUS_MULTIPROC_DIR"


def serve(config: Config) -> NoReturn:
    """Run the service until SIGTERM or Ctrl-C, then exit with 0. Raises CannotListen and Unavailable."""
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop_signal, _exit)  # until gunicorn has its own
    configure(config.log_level)
    with metrics_folder():
        listener = take_port(config.host, config.port)
        with translated_errors():
            migrate(config.database_url)
            config = with_admin_token(config)
            worker = EmbeddedWorker(base_url(config), worker_token(config)) if config.embedded_worker else None
        with at_the_end(lambda: revoke_worker_token(config) if worker else None):
            InterlockArbiter(WebApplication(config, listener), worker).run()
    sys.exit(0)


def _exit(*_: object) -> NoReturn:
    sys.exit(0)


@contextmanager
def at_the_end(clean_up: Callable[[], object]) -> Iterator[None]:
    """Call `clean_up` when this process leaves the block, and not when a web process forked in it does."""
    server_pid = os.getpid()
    try:
        yield
    finally:
        if os.getpid() == server_pid:
            clean_up()


@contextmanager
def metrics_folder() -> Iterator[None]:
    """Give the processes of this server a folder for their metrics, and remove it at the end.

    prometheus_client looks for the folder when it is imported, which importing this package has done already:
    so the process executes itself once more. It keeps its id, by which it knows the folder for its own.
    """
    mark = f"interlock-metrics-{os.getpid()}-"
    folder = Path(os.environ.get(METRICS, ""))
    if not folder.name.startswith(mark):
        os.environ[METRICS] = tempfile.mkdtemp(prefix=mark)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    with at_the_end(lambda: shutil.rmtree(folder, ignore_errors=True)):
        yield
