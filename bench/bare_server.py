"""Serves the bare application: `python -m bench.bare_server PORT` on the product's server, in WEB_PROCESSES processes.

`running_bare` starts that, or gunicorn with threads, which is what such an application usually runs on.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from app.server.http.buffered_server import BufferedServer
from bench.bare_application import app
from bench.options import WEB_PROCESSES
from tests.support.postgres import free_port
from tests.support.process import ROOT
from tests.support.server import LiveServer
from tests.support.waiting import wait_until

THREADS = 8
GUNICORN = ("gunicorn", "--worker-class=gthread", f"--workers={WEB_PROCESSES}", f"--threads={THREADS}")


@contextmanager
def running_bare(database_url: str, on_gunicorn: bool) -> Iterator[LiveServer]:
    """Run the bare application on a database; it asks for no token."""
    port = str(free_port())
    ours = ("bench.bare_server", port)
    gunicorn = (*GUNICORN, "--keep-alive=75", f"--bind=127.0.0.1:{port}", "bench.bare_application:app")
    with tempfile.TemporaryDirectory(prefix="interlock-bare-") as folder, Path(folder, "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *(gunicorn if on_gunicorn else ours)],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches only the benchmark, which then ends its child processes
        )
        server = LiveServer(f"http://127.0.0.1:{port}", process, Path(log.name), defaultdict(str))
        try:
            wait_until(lambda: _answers(server), server.tail)
            yield server
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _answers(server: LiveServer) -> bool:
    try:
        return requests.get(f"{server.url}/healthz", timeout=5).ok
    except requests.RequestException:
        return False


def main() -> None:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
    for _ in range(WEB_PROCESSES):
        if os.fork() == 0:
            server = BufferedServer(app, listener, THREADS, 75, 2**20)
            while True:
                server.serve(1.0)
    signal.pause()  # until SIGTERM, which all processes of the group get


if __name__ == "__main__":
    main()
