"""What a 402 or a 403 means: this one request, or a key that is not let in at all. One record for each connection.

1. While calls succeed, it means the request: its task fails.
2. Where no call has succeeded yet, it means the key; but while other calls are under way, it is asked again later.
3. After several in a row it means the key.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.worker.task import TaskFailed

SEVERAL = 5


class Access:
    """`with access.call():` around each call; `succeeded` and `denied` say how it ended. Any thread."""

    def __init__(self) -> None:
        self._under_way = 0
        self._denied_in_a_row = 0
        self._has_succeeded = False
        self._lock = threading.Lock()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a call as under way."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def succeeded(self) -> None:
        """Note that the server has let a call in."""
        with self._lock:
            self._has_succeeded, self._denied_in_a_row = True, 0

    def denied(self, message: str) -> TaskFailed:
        """Judge a denial, within its `call`."""
        with self._lock:
            self._denied_in_a_row += 1
            is_alone = not self._has_succeeded and self._under_way == 1
            if is_alone or self._denied_in_a_row >= SEVERAL:
                return TaskFailed("no_access", message, retryable=False, critical=True)
            return TaskFailed("request_refused", message, retryable=not self._has_succeeded)
