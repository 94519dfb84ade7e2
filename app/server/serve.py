"""Runs a server from its start to its end. The package's docstring has the order of the steps."""

import gc
import signal
import sys
from typing import NoReturn

from app import import_edges
from app.db import translated_errors
from app.logging import configure
from app.server.address import base_url, open_port
from app.server.admin_token import with_admin_token
from app.server.cleanup import cleanup
from app.server.embedded_worker import EmbeddedWorker
from app.server.migration import migrate_apart
from app.server.sign_in_link import sign_in_url
from app.server.web_processes import InterlockArbiter, WebApplication
from app.server.worker_token import revoke_worker_token, worker_token
from config import Config


def serve(config: Config) -> NoReturn:
    """Run the service until SIGTERM or Ctrl-C, then exit with 0. Raises CannotListen and Unavailable."""
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop_signal, _exit)  # until gunicorn installs its own handlers
    configure(config.log_level)
    listener = open_port(config.host, config.port)
    with translated_errors():
        migrate_apart(config)
        config = with_admin_token(config)
        link = sign_in_url(config)
        worker = EmbeddedWorker(base_url(config), worker_token(config)) if config.embedded_worker else None
    with cleanup(lambda: revoke_worker_token(config) if worker else None):
        import_edges()
        gc.freeze()  # a collection in a web process would copy the memory that it shares with the others
        InterlockArbiter(WebApplication(config, listener, link), worker).run()
    sys.exit(0)


def _exit(*_: object) -> NoReturn:
    sys.exit(0)
