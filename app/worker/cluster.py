"""Tasks on the machines of a Dask cluster. The worker stays the one that leases and reports; only handlers run there.

Handlers travel by name: each machine has to be able to import them, and this project. A machine that dies has its
tasks done again by the cluster, within the same attempt, as often as the cluster's `allowed-failures` says.
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
LOST = "The scheduler of the cluster is lost."


class Cluster(Executor):
    """The cluster of the scheduler at an address such as tcp://10.0.0.1:8786. Raises OSError if none answers there."""

    def __init__(self, scheduler: str) -> None:
        self._client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
        # Not pure: two tasks that look alike are two tasks.
        self._executor = self._client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        self._open: set[Future[Any]] = set()
        self._lock = threading.Lock()

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run `work` somewhere. Raises BrokenExecutor when the scheduler is lost; a future fails with it, too."""
        if self._client.status != "running":
            raise BrokenExecutor(LOST)
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            self._open.add(future)
        try:
            answer = self._executor.submit(work, *args, **kwargs)
        except ClosedClientError as error:
            self._settle(future, error=BrokenExecutor(LOST))
            raise BrokenExecutor(LOST) from error
        answer.add_done_callback(partial(self._pass_on, future))
        return future

    def _pass_on(self, future: "Future[Any]", answer: "Future[Any]") -> None:
        if answer.cancelled():  # by nobody here: the client does it to all when it loses the scheduler
            self._settle(future, error=BrokenExecutor(LOST))
        elif error := answer.exception():
            self._settle(future, error=error)
        else:
            self._settle(future, answer.result())

    def _settle(self, future: "Future[Any]", result: Any = None, error: BaseException | None = None) -> None:
        with self._lock:
            self._open.discard(future)
        with suppress(InvalidStateError):  # given up already
            if error:
                future.set_exception(error)
            else:
                future.set_result(result)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, and give up what is not done; what runs there already goes on to its end unheard."""
        with self._lock:
            given_up = list(self._open)
        for future in given_up:
            self._settle(future, error=BrokenExecutor(LOST))
        self._client.close(timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
