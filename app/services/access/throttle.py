"""How often an address may fail to sign in: in the memory of the process, so a guesser has a few tries a minute."""

import threading
import time
from collections import OrderedDict

MOST_FAILURES = 10  # of one address in a window
WINDOW_SECONDS = 60
MOST_ADDRESSES = 10_000  # that are remembered; the oldest is forgotten first


class Throttle:
    """Counts failures by address; each address has a window that begins with its first failure."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_seconds(self, address: str) -> int:
        """Give how long an address has to wait until it may try again; 0 if it may try now."""
        with self._lock:
            begun, failures = self._window(address)
        return 0 if failures < MOST_FAILURES else max(1, round(begun + WINDOW_SECONDS - time.monotonic()))

    def failed(self, address: str) -> None:
        """Count a failure."""
        with self._lock:
            begun, failures = self._window(address)
            self._windows[address] = begun, failures + 1
            while len(self._windows) > MOST_ADDRESSES:
                self._windows.popitem(last=False)

    def _window(self, address: str) -> tuple[float, int]:
        now = time.monotonic()
        begun, failures = self._windows.get(address, (now, 0))
        if now - begun < WINDOW_SECONDS:
            return begun, failures
        del self._windows[address]
        return now, 0
