"""Steps that may take minutes, such as reading a large file: done beside the sweeper, which goes on meanwhile."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

AT_ONCE = 2


class LongSteps:
    """Does steps in threads of its own, each step of a batch once at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: set[object] = set()
        self._threads: ThreadPoolExecutor | None = None

    def begin(self, key: object, step: Callable[[], object]) -> None:
        """Do `step`, unless the one with this key is under way. It raises nothing."""
        with self._lock:
            if key in self._under_way:
                return
            self._under_way.add(key)
            if self._threads is None:  # not before: a process is forked without threads
                self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="long-step")
            threads = self._threads
        threads.submit(self._do, key, step)

    def close(self) -> None:
        """Forget the steps that have not begun; the others end by themselves."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
            self._under_way.clear()

    def _do(self, key: object, step: Callable[[], object]) -> None:
        try:
            step()
        finally:
            with self._lock:
                self._under_way.discard(key)
