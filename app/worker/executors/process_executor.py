"""Runs each task in a process that has no other task, so that a killed process fails only its own task.

In a common pool of processes, all running tasks fail: the pool does not know which task the dead process had.
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

CHECK_SECONDS = 1.0


class ProcessExecutor(Executor):
    """Starts a process when none is free, and uses it again. The caller limits how many tasks run at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[ProcessPoolExecutor] = []  # pools of one process each
        self._all: set[ProcessPoolExecutor] = set()
        self._shut_down = False

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run `work` in a free process. The future fails with BrokenExecutor when the process dies."""
        while True:
            process = self._take()
            try:
                future: Future[Any] = process.submit(work, *args, **kwargs)
            except BrokenExecutor:  # the process was killed while it was idle
                self._discard(process)
            else:
                future.add_done_callback(partial(self._put_back, process))
                return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Start no more tasks. Without `wait`, kill the running ones."""
        with self._lock:
            self._shut_down = True
            processes = list(self._all)
        for process in processes:
            process.shutdown(wait=wait, kill_workers=not wait)

    def _take(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._shut_down:
                raise RuntimeError("The executor is shut down.")
            if self._free:
                return self._free.pop()
            # loky starts new interpreters: the fork of a process with threads may hang.
            process = ProcessPoolExecutor(1, initializer=prepare_process, initargs=(os.getpid(),))
            self._all.add(process)
            return process

    def _put_back(self, process: ProcessPoolExecutor, future: "Future[Any]") -> None:
        if not future.cancelled() and isinstance(future.exception(), BrokenExecutor):
            self._discard(process)
        else:
            with self._lock:
                self._free.append(process)

    def _discard(self, process: ProcessPoolExecutor) -> None:
        with self._lock:
            self._all.discard(process)
        process.shutdown(wait=False, kill_workers=True)


def prepare_process(worker_pid: int) -> None:
    """Prepare a new process: it ignores signals, since the worker handles them, and it ends when the worker dies."""
    for number in (signal.SIGINT, signal.SIGTERM):  # terminals and process managers send them to every process
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(worker_pid,), name="end-with-worker", daemon=True).start()


def _end_with(worker_pid: int) -> None:
    while os.getppid() == worker_pid:
        time.sleep(CHECK_SECONDS)
    os._exit(1)
