"""How a worker process ends: by a signal, or with handlers that do not end."""

import multiprocessing
import os
import signal
import socket
import sys
import threading
from typing import NoReturn

from app.worker.worker import Worker


def stop_on_signals(worker: Worker) -> None:
    """Stop the worker at the first SIGTERM or SIGINT. Exit at once at the second."""
    # The interpreter writes the number of each signal to this socket as it arrives. A Python signal handler runs in
    # the main thread alone, and a signal that arrives just before that thread begins to wait does not wake it.
    received, written = socket.socketpair()
    written.setblocking(False)
    signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)

    def read_signals() -> None:
        with received, written:
            worker.stop(f"signal {signal.Signals(received.recv(1)[0]).name}")
            exit_at_once(128 + received.recv(1)[0])

    threading.Thread(target=read_signals, name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # without a handler the signal would end the process


def exit_process(worker: Worker, exit_code: int) -> NoReturn:
    """Exit, even when handlers still run."""
    if not worker.abandoned:
        sys.exit(exit_code)
    exit_at_once(exit_code)


def exit_at_once(exit_code: int) -> NoReturn:
    """Kill the child processes and exit without waiting for threads."""
    for child in multiprocessing.active_children():
        if child.pid:
            os.kill(child.pid, signal.SIGKILL)  # loky's processes have no kill() and ignore SIGTERM
    sys.stderr.flush()
    os._exit(exit_code)
