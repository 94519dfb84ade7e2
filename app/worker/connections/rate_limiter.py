"""The rate limiter of one model server. The threads of a worker wait here for their calls, first in, first out.

1. The first thread waits until the limits of requests and tokens per minute allow its call, fewer than `concurrency`
   calls are open, and no pause is in force.
2. A pause (`Retry-After`) holds every call back, not only the one that received it.
3. The tokens of a call are estimated before it and corrected after its answer.
4. A task that must stop gives up waiting. So does every task when the connection is closed.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf

import structlog

from app.worker.connections.pacer import Pacer
from app.worker.connections.settings import Connection
from app.worker.task import Task, TaskFailed

log = structlog.get_logger(__name__)

CHECK_SECONDS = 0.2  # how late a waiting task notices that it must stop
MAX_PAUSE_SECONDS = 600.0  # then one call finds out whether the server is ready
FIRST_ANSWER_TOKENS = 1_000  # the estimate for an answer before there was one
NEWEST_WEIGHT = 0.2  # of the newest answer in the moving average


class RateLimiter:
    """Put `with limiter.slot(task, tokens):` around each call. Any thread may use it."""

    def __init__(self, name: str, limits: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._requests = Pacer(limits.requests_per_minute) if limits.requests_per_minute else None
        self._tokens = Pacer(limits.tokens_per_minute) if limits.tokens_per_minute else None
        self._max_calls = limits.concurrency or inf
        self._open_calls = 0
        self._paused_until = -inf
        self._average_answer_tokens = float(FIRST_ANSWER_TOKENS)
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    def estimate(self, input_tokens: float, max_output_tokens: float | None) -> float:
        """Estimate a call's tokens: its longest possible answer, or the average answer if it has no limit."""
        return input_tokens + (self._average_answer_tokens if max_output_tokens is None else max_output_tokens)

    @contextmanager
    def slot(self, task: Task, tokens: float, most_calls: Callable[[], float] = lambda: inf) -> Iterator[None]:
        """Wait until the call may begin, and count it as open.

        `most_calls` says how many calls may be open now, besides the limits. Raises what it raises, and TaskFailed
        when the task must stop first.
        """
        self._wait(task, tokens, most_calls)
        try:
            yield
        finally:
            with self._lock:
                self._open_calls -= 1
                self._wake_first()

    def correct(self, estimate: float, input_tokens: int, output_tokens: int) -> None:
        """Replace the estimate of a call by its actual tokens."""
        with self._lock:
            if self._tokens:
                self._tokens.correct(input_tokens + output_tokens - estimate)
            self._average_answer_tokens += (output_tokens - self._average_answer_tokens) * NEWEST_WEIGHT
            self._wake_first()

    def pause(self, seconds: float) -> None:
        """Begin no call for some time, at most MAX_PAUSE_SECONDS."""
        with self._lock:
            now = self._clock()
            if self._paused_until <= now:
                log.warning("connection_paused", connection=self._name, seconds=seconds)
            self._paused_until = max(self._paused_until, now + min(seconds, MAX_PAUSE_SECONDS))

    def _wait(self, task: Task, tokens: float, most_calls: Callable[[], float]) -> None:
        ticket = threading.Event()
        with self._lock:
            self._waiting.append(ticket)
        try:
            while (seconds := self._try_to_begin(ticket, tokens, most_calls())) > 0:
                ticket.wait(min(seconds, CHECK_SECONDS))
                ticket.clear()
                if task.stopped:
                    raise TaskFailed("stopped", "The task was stopped while it waited for the model server.")
        finally:
            with self._lock:
                self._waiting.remove(ticket)
                self._wake_first()

    def _try_to_begin(self, ticket: threading.Event, tokens: float, most_calls: float) -> float:
        """Begin the call and return 0, or return how many seconds to wait before the next attempt."""
        with self._lock:
            if self._waiting[0] is not ticket or self._open_calls >= min(self._max_calls, most_calls):
                return CHECK_SECONDS
            now = self._clock()
            pacers = [pacer for pacer in (self._requests, self._tokens) if pacer]
            free_at = max([self._paused_until, *(pacer.next_at for pacer in pacers)])
            if free_at > now:
                return free_at - now
            self._open_calls += 1
            for pacer, units in ((self._requests, 1.0), (self._tokens, tokens)):
                if pacer:
                    pacer.take(now, units)
            return 0.0

    def _wake_first(self) -> None:
        if self._waiting:
            self._waiting[0].set()
