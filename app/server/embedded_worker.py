"""The queue worker that `serve` runs beside the web processes: a child process that is restarted when it dies.

It is a client of the API like any other worker. Nothing here knows what a batch is.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import structlog

from app.server.address import no_proxy_for
from app.server.cleanup import die_with_parent
from app.shipped import IS_CHECKOUT
from config import DATA_FOLDER

log = structlog.get_logger(__name__)

# Where it runs, and finds connections.toml: the checkout, or the data folder of an installed service.
ROOT = Path(__file__).parent.parent.parent if IS_CHECKOUT else DATA_FOLDER
FIRST_RESTART_SECONDS, RESTART_LIMIT_SECONDS = 1.0, 60.0
HEALTHY_AFTER_SECONDS = 60.0  # a process that ran this long is restarted quickly
SPOOL = DATA_FOLDER / "spool"  # of answers that cannot be sent
WITHHELD = {
    "ADMIN_TOKEN", "ADMIN_TOKEN_FILE", "DATABASE_URL", "DATABASE_URL_FILE", "PROMETHEUS_MULTIPROC_DIR",
    "INTERLOCK_TOKEN_FILE",  # an operator's: it would go before INTERLOCK_TOKEN
}  # fmt: skip


class EmbeddedWorker:
    """`watch` starts the process, and restarts it after its death. `stop` lets it release its leases first."""

    def __init__(self, url: str, token: str) -> None:
        self._environment = {"INTERLOCK_SPOOL": str(SPOOL), **os.environ, **no_proxy_for(url, os.environ)}
        self._environment |= {"INTERLOCK_URL": url, "INTERLOCK_TOKEN": token}
        for name in WITHHELD:
            self._environment.pop(name, None)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0  # both on the monotonic clock
        self._wait_seconds = FIRST_RESTART_SECONDS

    def watch(self) -> None:
        """Start the process if none runs and its restart is due. Call this about once a second."""
        now = time.monotonic()
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._plan_restart(now)
        if now >= self._start_at:
            self._start(now)

    def stop(self, timeout_seconds: float) -> None:
        """Ask the process to end, and kill it if it does not end in time."""
        process, self._process = self._process, None
        self._start_at = float("inf")
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            log.warning("embedded_worker_killed", pid=process.pid)
            process.kill()
            process.wait()

    def _plan_restart(self, now: float) -> None:
        if now - self._started_at > HEALTHY_AFTER_SECONDS:
            self._wait_seconds = FIRST_RESTART_SECONDS
        self._process = None
        self._start_at = now + self._wait_seconds
        log.warning("embedded_worker_died", restart_seconds=self._wait_seconds)
        self._wait_seconds = min(self._wait_seconds * 2, RESTART_LIMIT_SECONDS)

    def _start(self, now: float) -> None:
        ROOT.mkdir(parents=True, exist_ok=True)
        # In its own session: Ctrl-C on a terminal reaches only the server, which then stops the worker in order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.worker"],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,  # safe: the watching process has one thread
        )
        self._started_at = now
        log.info("embedded_worker_started", pid=self._process.pid)
