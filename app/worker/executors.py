"""What work runs on: any `concurrent.futures.Executor`. Threads by default, for handlers that wait for a network."""

import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import cast

from app.worker.imports import imported


def make_executor(name: str, size: int) -> Executor:
    """Make an executor for `size` tasks at once: `threads`, `processes`, or `module:function` called with the size.

    Raises ImportError with a sentence where there is no such function.
    """
    if name == "threads":
        return ThreadPoolExecutor(size, thread_name_prefix="task")
    if name == "processes":
        # Fresh interpreters: a fork of a process with threads may hang.
        return ProcessPoolExecutor(size, multiprocessing.get_context("spawn"), initializer=leave_signals_to_parent)
    factory = cast(Callable[[int], Executor], imported(name))
    return factory(size)


def leave_signals_to_parent() -> None:
    """Ctrl-C reaches every process of a terminal: only the worker itself decides what follows."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
