"""Clearing up behind the server: once, in its own process, and not in the web processes forked from it."""

import ctypes
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PR_SET_PDEATHSIG = 1
METRICS = "PROMETHEUS_MULTIPROC_DIR"


def die_with_parent() -> None:
    """Ask Linux to SIGTERM this process when its parent is killed, so that none is left behind. For preexec_fn."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def at_the_end(clear_up: Callable[[], object]) -> Iterator[None]:
    """Call `clear_up` when this process leaves the block, and not when one forked in it does."""
    server_pid = os.getpid()
    try:
        yield
    finally:
        if os.getpid() == server_pid:
            clear_up()


@contextmanager
def metrics_folder() -> Iterator[None]:
    """Give the processes of this server a folder in which their metrics are added up, and remove it at the end.

    prometheus_client looks for the folder once, when it is imported: this comes first, or raises RuntimeError.
    """
    if "prometheus_client" in sys.modules:
        raise RuntimeError("prometheus_client is imported already: the metrics would be those of one process")
    os.environ[METRICS] = tempfile.mkdtemp(prefix="interlock-metrics-")
    with at_the_end(lambda: shutil.rmtree(os.environ[METRICS], ignore_errors=True)):
        yield
