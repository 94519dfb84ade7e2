"""Runs tasks on the machines of a Dask cluster. The worker still leases and reports; only handlers run there.

Handlers are sent by name: each machine must be able to import them and this project. When a machine dies, the cluster
runs its tasks again within the same attempt, up to `allowed-failures` times.
"""

import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import Any

from distributed import Client
from distributed.client import ClosedClientError

CONNECT_SECONDS = 5.0
LOST = "The connection to the cluster's scheduler is lost."


class DaskExecutor(Executor):
    """Uses the cluster of a scheduler such as tcp://10.0.0.1:8786. Raises OSError when no scheduler answers there."""

    def __init__(self, scheduler: str) -> None:
        self._client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
        # pure=False: two calls with equal arguments are two tasks.
        self._executor = self._client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        self._open: set[Future[Any]] = set()
        self._lock = threading.Lock()

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run `work` on a machine. When the scheduler is lost, this and open futures fail with BrokenExecutor."""
        if self._client.status != "running":
            raise BrokenExecutor(LOST)
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            self._open.add(future)
        try:
            remote = self._executor.submit(work, *args, **kwargs)
        except ClosedClientError as error:
            self._settle(future, error=BrokenExecutor(LOST))
            raise BrokenExecutor(LOST) from error
        remote.add_done_callback(partial(self._copy, future))
        return future

    def _copy(self, future: "Future[Any]", remote: "Future[Any]") -> None:
        """Copy the outcome of the cluster's future to ours."""
        if remote.cancelled():  # the client cancels all futures when it loses the scheduler; nothing else does
            self._settle(future, error=BrokenExecutor(LOST))
        elif error := remote.exception():
            self._settle(future, error=error)
        else:
            self._settle(future, remote.result())

    def _settle(self, future: "Future[Any]", result: Any = None, error: BaseException | None = None) -> None:
        with self._lock:
            self._open.discard(future)
        with suppress(InvalidStateError):  # shutdown has already failed it
            if error:
                future.set_exception(error)
            else:
                future.set_result(result)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Close the connection and fail the open futures. Their tasks still end on the cluster, without effect."""
        with self._lock:
            open_futures = list(self._open)
        for future in open_futures:
            self._settle(future, error=BrokenExecutor(LOST))
        self._client.close(timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
