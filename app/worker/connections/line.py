"""The line before one model server: all threads of a worker stand in it, first come, first served.

1. Who is first waits until requests and tokens of the minute allow a call, a seat is free, and no pause goes on.
2. A pause (`Retry-After`) holds everybody, not the one call that was told.
3. Tokens are reckoned before a call, and put right after its answer.
4. A task that is to stop leaves the line.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from app.worker.connections.pacer import Pacer
from app.worker.connections.settings import Connection
from app.worker.task import Task, TaskFailed

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.2  # how late a waiting task notices that it is to stop
MOST_PAUSE_SECONDS = 600.0  # then somebody asks again whether the server is ready
FIRST_ANSWER_TOKENS = 1_000  # what an answer is reckoned at before there was one
NEWEST_COUNTS = 0.2  # the weight of the last answer in that


class Line:
    """`with line.turn(task, tokens):` around each call; any thread."""

    def __init__(self, name: str, limits: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._requests = Pacer(limits.requests_per_minute) if limits.requests_per_minute else None
        self._tokens = Pacer(limits.tokens_per_minute) if limits.tokens_per_minute else None
        self._seats = limits.concurrency or float("inf")
        self._calls = 0
        self._paused_until = float("-inf")
        self._answer_tokens = float(FIRST_ANSWER_TOKENS)
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    def reckoned(self, input_tokens: float, most_output_tokens: float | None) -> float:
        """How many tokens a call is reckoned at: as much as it may answer, or else as much as answers were lately."""
        return input_tokens + (self._answer_tokens if most_output_tokens is None else most_output_tokens)

    @contextmanager
    def turn(self, task: Task, tokens: float) -> Iterator[None]:
        """Wait for a turn and hold a seat. Raises TaskFailed when the task is to stop before."""
        self._wait(task, tokens)
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                self._call_first()

    def used(self, reckoned: float, input_tokens: int, output_tokens: int) -> None:
        """Put right what a call was reckoned at."""
        with self._lock:
            if self._tokens:
                self._tokens.correct(input_tokens + output_tokens - reckoned)
            self._answer_tokens += (output_tokens - self._answer_tokens) * NEWEST_COUNTS
            self._call_first()

    def pause(self, seconds: float) -> None:
        """Let nobody go for some time."""
        with self._lock:
            now = self._clock()
            if self._paused_until <= now:
                log.warning("connection_paused", connection=self._name, seconds=seconds)
            self._paused_until = max(self._paused_until, now + min(seconds, MOST_PAUSE_SECONDS))

    def _wait(self, task: Task, tokens: float) -> None:
        ticket = threading.Event()
        with self._lock:
            self._waiting.append(ticket)
        try:
            while (seconds := self._go(ticket, tokens)) > 0:
                ticket.wait(min(seconds, LOOK_SECONDS))
                ticket.clear()
                if task.stopped:
                    raise TaskFailed("stopped", "The task was to stop before it was its turn at the model server.")
        finally:
            with self._lock:
                self._waiting.remove(ticket)
                self._call_first()

    def _go(self, ticket: threading.Event, tokens: float) -> float:
        """Take a turn if it is there; return 0, or the seconds until it may be. Who is not first is called."""
        with self._lock:
            if self._waiting[0] is not ticket or self._calls >= self._seats:
                return LOOK_SECONDS
            now = self._clock()
            pacers = [pacer for pacer in (self._requests, self._tokens) if pacer]
            free_at = max([self._paused_until, *(pacer.next_at for pacer in pacers)])
            if free_at > now:
                return free_at - now
            self._calls += 1
            for pacer, units in ((self._requests, 1.0), (self._tokens, tokens)):
                if pacer:
                    pacer.take(now, units)
            return 0.0

    def _call_first(self) -> None:
        if self._waiting:
            self._waiting[0].set()
