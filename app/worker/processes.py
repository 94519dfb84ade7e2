"""Tasks in processes of their own, each with one task at a time: one that is killed takes no other task with it.

In a common pool it would: nobody can tell there which task a dead process had, so all that run are given up.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial
from typing import Any

from loky import ProcessPoolExecutor

LOOK_SECONDS = 1.0


class Processes(Executor):
    """Starts a process when no other is free, and keeps it. Whoever submits says how many run at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[ProcessPoolExecutor] = []
        self._all: set[ProcessPoolExecutor] = set()
        self._over = False

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run `work` in a free process; its future fails with BrokenExecutor when that process dies."""
        while True:
            process = self._take()
            try:
                future: Future[Any] = process.submit(work, *args, **kwargs)
            except BrokenExecutor:  # it was killed while it had nothing to do
                self._give_up(process)
            else:
                future.add_done_callback(partial(self._put_back, process))
                return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Begin nothing more. Without `wait` what runs is killed."""
        with self._lock:
            self._over = True
            processes = list(self._all)
        for process in processes:
            process.shutdown(wait=wait, kill_workers=not wait)

    def _take(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._over:
                raise RuntimeError("The executor is shut down.")
            if self._free:
                return self._free.pop()
            # Fresh interpreters, as loky's always are: a fork of a process with threads may hang.
            process = ProcessPoolExecutor(1, initializer=begin, initargs=(os.getpid(),))
            self._all.add(process)
            return process

    def _put_back(self, process: ProcessPoolExecutor, future: "Future[Any]") -> None:
        if not future.cancelled() and isinstance(future.exception(), BrokenExecutor):
            self._give_up(process)
        else:
            with self._lock:
                self._free.append(process)

    def _give_up(self, process: ProcessPoolExecutor) -> None:
        with self._lock:
            self._all.discard(process)
        process.shutdown(wait=False, kill_workers=True)


def begin(worker_pid: int) -> None:
    """Prepare a process: only the worker decides what follows a signal, and none outlives the worker."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal and a process manager send them to every process
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(worker_pid,), name="end-with-worker", daemon=True).start()


def _end_with(worker_pid: int) -> None:
    while os.getppid() == worker_pid:
        time.sleep(LOOK_SECONDS)
    os._exit(1)
