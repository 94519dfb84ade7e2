"""What a handler receives and what it may raise. Plain values: they are sent to other threads, processes, machines."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from app.worker.connections.target import connection_and_model

_making = threading.Lock()


class StopSignal:
    """Says that a result is no longer needed. It makes its event when somebody needs it, which few tasks do."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: threading.Event | None = None

    def set(self) -> None:
        self._made().set()

    def is_set(self) -> bool:
        return self._event is not None and self._event.is_set()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until it is set, for at most `timeout_seconds`; return whether it is."""
        return self._made().wait(timeout_seconds)

    def _made(self) -> threading.Event:
        with _making:
            self._event = self._event or threading.Event()
            return self._event


@dataclass(frozen=True)
class Task:
    """A leased task. `payload` is as the API gives it; `run` and `attempt` are counted from 1.

    A task that `is_probe` shall show whether its closed connection works again. `traceparent` is its place in the trace
    of its batch; None if that is not recorded.
    """

    id: str
    batch_id: int
    run: int
    kind: str
    attempt: int
    payload: dict[str, Any]
    lease_token: str = field(default="", repr=False)
    stopping: StopSignal = field(default_factory=StopSignal, repr=False, compare=False)
    is_probe: bool = False
    traceparent: str | None = None

    @cached_property
    def target(self) -> tuple[str, str]:
        """Its connection and its model."""
        return connection_and_model(self.payload)

    @property
    def stopped(self) -> bool:
        """Whether the result is no longer needed. In another process it stays False: the signal is not shared."""
        return self.stopping.is_set()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "stopping"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, stopping=StopSignal())


Handler = Callable[[Task], dict[str, Any]]


class TaskFailed(Exception):
    """Raise it in a handler to report a failure.

    `retryable` queues the task again while it has attempts left, after `retry_after_seconds` if given.
    `critical` fails the whole batch. `usage` is what the failed attempt cost, in the form of a result's usage.
    """

    refusal: dict[str, Any] | None = None  # of a server to a ready-made line: `status_code`, `request_id`, `body`

    def __init__(
        self,
        code: str,
        message: str,
        retryable: bool = True,
        critical: bool = False,
        retry_after_seconds: float | None = None,
        usage: dict[str, Any] | None = None,
    ) -> None:
        # Every argument goes to Exception: that is how it is pickled.
        super().__init__(code, message, retryable, critical, retry_after_seconds, usage)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.critical = critical
        self.retry_after_seconds = retry_after_seconds
        self.usage = usage

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ConnectionClosed(Exception):
    """Raise it in a handler when its connection cannot be used now: the task is released and loses no attempt.

    No task of the connection (with `model`: of that model) is leased until a probe has succeeded: one task, after a
    wait, which is at least `retry_after_seconds`. `error_class` is outage, rate_limit, access or model.
    """

    def __init__(
        self,
        connection: str,
        message: str,
        error_class: str = "outage",
        model: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        # Every argument goes to Exception: that is how it is pickled.
        super().__init__(connection, message, error_class, model, retry_after_seconds)
        self.connection = connection
        self.message = message
        self.error_class = error_class
        self.model = model
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return f"{self.connection} is closed ({self.error_class}): {self.message}"
