"""A server process that dies at named points (see failpoints.py) and is at once replaced, as gunicorn does it."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import requests

from tests.concurrency.failpoints import HEADER
from tests.concurrency.over_http import Caller
from tests.support.postgres import free_port
from tests.support.process import PythonProcess
from tests.support.server import KEPT_ENVIRONMENT, LiveServer, wait_until_ready

# The web process is forked from one that has imported everything: it is there again in a moment.
COMMAND = "gunicorn --preload --workers 1 --worker-class gthread --threads 2 --no-control-socket --bind"
APPLICATION = "tests.concurrency.failpoints:application"


@contextmanager
def mortal_server(database_url: str) -> Iterator[LiveServer]:
    """Run the server of failpoints.py; it has one web process, no sweeper and no worker."""
    settings = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT}
    token, address = secrets.token_urlsafe(32), f"127.0.0.1:{free_port()}"
    settings |= {"DATABASE_URL": database_url, "ADMIN_TOKEN": token, "SWEEPER": "0", "EMBEDDED_WORKER": "0"}
    with tempfile.TemporaryDirectory(prefix="interlock-mortal-") as folder:
        log = Path(folder, "log")
        process = PythonProcess("-m", *COMMAND.split(), address, APPLICATION, env=settings, output=log)
        server = LiveServer(f"http://{address}", process, log, {"admin": token})
        try:
            wait_until_ready(server)
            yield server
        finally:
            server.stop()


def asks(server: LiveServer, path: str, body: object, **headers: str) -> requests.Response:
    """POST over a connection of its own: one that was kept may end in a process that has died."""
    with closing(Caller(server.url, server.tokens["admin"])) as client:
        return client.post(path, body, **headers)


def dies(server: LiveServer, point: int, path: str, body: object, **headers: str) -> requests.Response | None:
    """POST, so that the process dies at that point; None when it did, the answer when there is no such point."""
    try:
        return asks(server, path, body, **{HEADER: str(point)}, **headers)
    except requests.ConnectionError:
        return None
