"""Cleans up at the end of a server: once, in its own process, and not in the web processes forked from it."""

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
    """Make Linux send SIGTERM to this process when its parent dies. For the preexec_fn of Popen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def cleanup(clean_up: Callable[[], object]) -> Iterator[None]:
    """Call `clean_up` when this process leaves the block, but not when a process forked in the block leaves it."""
    server_pid = os.getpid()
    try:
        yield
    finally:
        if os.getpid() == server_pid:
            clean_up()


@contextmanager
def metrics_folder() -> Iterator[None]:
    """Make a folder in which the processes of this server share their metrics, and remove it at the end.

    prometheus_client reads its path when it is imported. Raises RuntimeError if that has already happened.
    """
    if "prometheus_client" in sys.modules:
        raise RuntimeError("prometheus_client is already imported: it would count the metrics of one process only")
    os.environ[METRICS] = tempfile.mkdtemp(prefix="interlock-metrics-")
    with cleanup(lambda: shutil.rmtree(os.environ[METRICS], ignore_errors=True)):
        yield
