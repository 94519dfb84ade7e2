"""Runs tasks in threads. What is submitted at the end of a task is run by the same thread next.

In a ThreadPoolExecutor each submission wakes another thread, while the one that ends falls asleep: for short tasks that
takes more time than the tasks.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple


class _Item(NamedTuple):
    future: "Future[Any]"
    work: Callable[[], Any]


class _OfThread(threading.local):
    """What a thread knows of itself."""

    is_ending = False  # its task is over, and the callbacks of the future run
    following: _Item | None = None  # submitted meanwhile


class ThreadExecutor(ThreadPoolExecutor):
    """As its base, but for the thread that runs a submission made by a callback of a future at the end of its task."""

    def __init__(self, size: int) -> None:
        super().__init__(size, thread_name_prefix="task")
        self._of_thread = _OfThread()
        self._is_shut_down = False

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run `work` in this thread if it has nothing else to do, else in another one."""
        item, own = _Item(Future(), partial(work, *args, **kwargs)), self._of_thread
        if own.is_ending and own.following is None and not self._is_shut_down:
            own.following = item
        else:
            super().submit(self._run, item).add_done_callback(partial(_cancel_too, item.future))
        return item.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more."""
        self._is_shut_down = True
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _run(self, item: _Item) -> None:
        own = self._of_thread
        own.following = item
        while following := own.following:
            own.following = None
            self._run_one(following)

    def _run_one(self, item: _Item) -> None:
        future, work = item
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except BaseException as error:
            self._end(partial(future.set_exception, error))
        else:
            self._end(partial(future.set_result, result))

    def _end(self, end: Callable[[], None]) -> None:
        self._of_thread.is_ending = True
        try:
            end()
        finally:
            self._of_thread.is_ending = False


def _cancel_too(future: "Future[Any]", run: "Future[None]") -> None:
    if run.cancelled():
        future.cancel()
        future.set_running_or_notify_cancel()
