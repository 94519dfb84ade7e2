"""The calls of a connection: how many are under way, and what a failed one means for its task and for the circuit.

1. Before the first success at most four calls are under way. After a 429 it is one, and one more for each success.
2. A 429 is nobody's failure at first: the task calls again. After three in a row without a success the circuit is
   closed.
3. Any other failure that may be the connection's (evidence.py) waits until the next calls have ended. A task whose
   call is the only one under way calls once more after a second.
4. If the connection is at fault, the circuit is closed, and the tasks that failed or wait are released unharmed.
"""

import itertools

from app.worker.connections.call_failed import CallFailed, ErrorClass
from app.worker.connections.circuit import Circuit
from app.worker.connections.evidence import LONGEST_PAUSE_SECONDS, Call, Evidence, Verdict
from app.worker.task import Task

FIRST_CALLS = 4  # under way before the first success
SLOW_ROUNDS = 3  # of 429s in a row, then the circuit is closed
SLOWED_SECONDS = 10.0  # without a 429, then the connection is no longer slowed
REPEAT_SECONDS = 1.0  # before the only task calls again
UNDECIDED_SECONDS = 5.0  # the longest wait for a decision
CHECK_SECONDS = 0.2  # how late a waiting task notices that it must stop


class Calls:
    """Any thread may call the methods."""

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self._changed = circuit.changed
        self._evidence = Evidence()
        self._numbers = itertools.count()
        self._newest = -1
        self._under_way = 0
        self._most: float = FIRST_CALLS
        self._slow_rounds = 0
        self._slow_until = -1  # calls up to this number began before the last 429
        self._slowed_at: float | None = None

    def most(self, task: Task, model: str) -> float:
        """Count the calls that may be under way at once. Raises ConnectionClosed."""
        self._circuit.require_open(task, model)
        return float("inf") if self._circuit.is_probe(task) else self._most

    def has_succeeded(self, model: str) -> bool:
        """Whether a call of a model has succeeded."""
        return model in self._evidence.models

    def begin(self, task: Task, model: str, is_repeat: bool) -> Call:
        """Note the begin of a call. Raises ConnectionClosed."""
        with self._changed:
            is_probe = self._circuit.begin(task, model)
            self._under_way += 1
            self._newest = next(self._numbers)
            return Call((task.id, task.run), model, self._newest, is_probe, is_repeat)

    def ended(self) -> None:
        """Note the end of a call, whatever came of it."""
        with self._changed:
            self._under_way -= 1

    def succeeded(self, call: Call) -> None:
        """Note that the server has answered a call, so it is there and lets the worker in."""
        with self._changed:
            self._evidence.succeeded(call)
            self._slow_rounds = 0
            if call.is_probe:
                self._circuit.open(call.model)
            if self._slowed_at is None:
                self._most = float("inf")
            else:
                self._most += 1
                if self._circuit.clock() - self._slowed_at >= SLOWED_SECONDS:
                    self._slowed_at = None
                    self._circuit.slow_down(False)
            self._changed.notify_all()

    def failed(self, task: Task, call: Call, failure: CallFailed) -> None:
        """Decide about the failure of a call that has ended. Return if the task shall call again.

        Raises the failure if it is the task's own, and ConnectionClosed if the task is to be released unharmed.
        """
        with self._changed:
            call.newest, is_alone = self._newest, self._under_way == 0
            if self._circuit.is_closed_for(task, call.model):
                raise self._circuit.closed_error(call.model)
            if call.is_probe:
                self._probe_failed(call, failure)
            if self._is_slow(failure):
                if self._evidence.slowed(call):
                    raise failure
                self._slow_down(call, failure)
                self._circuit.require_open(task, call.model)
                return
            self._obey(self._evidence.judge(call, failure, is_alone), call, failure)
            self._wait(task, call, failure)

    def _obey(self, verdict: Verdict, call: Call, failure: CallFailed) -> None:
        """Raise what follows from a verdict; return if there is none yet."""
        if verdict == Verdict.TASK:
            raise failure
        if verdict == Verdict.CONNECTION:
            self._close(call, failure)
            raise self._circuit.closed_error(call.model)

    def _probe_failed(self, call: Call, failure: CallFailed) -> None:
        self._circuit.fail(failure, call.model, is_probe=True)
        if self._evidence.judge_probe(call, failure) == Verdict.TASK:
            raise failure
        raise self._circuit.closed_error(call.model)

    def _is_slow(self, failure: CallFailed) -> bool:
        is_short = (failure.wait_seconds or 0.0) <= LONGEST_PAUSE_SECONDS
        return failure.error_class == ErrorClass.RATE_LIMIT and is_short

    def _slow_down(self, call: Call, failure: CallFailed) -> None:
        """Count a 429, unless its call began before the last one, and let one call go at a time."""
        if call.number > self._slow_until:
            self._slow_rounds, self._slow_until = self._slow_rounds + 1, self._newest
        if self._slow_rounds >= SLOW_ROUNDS:
            self._close(call, failure)
            return
        if self._slowed_at is None:
            self._circuit.slow_down(True)
        self._slowed_at, self._most = self._circuit.clock(), 1

    def _close(self, call: Call, failure: CallFailed) -> None:
        self._slow_rounds, self._slowed_at = 0, None
        self._circuit.fail(failure, call.model)

    def _wait(self, task: Task, call: Call, failure: CallFailed) -> None:
        """Wait for a decision, and raise it. Return if the task, which is alone by now, shall call again."""
        clock = self._circuit.clock
        alone_since: float | None = None
        ends_at = clock() + UNDECIDED_SECONDS
        while (now := clock()) < ends_at:
            if self._evidence.disproves(call) or task.stopped:
                raise failure
            self._circuit.require_open(task, call.model)
            if self._under_way:
                alone_since = None
            elif failure.error_class == ErrorClass.ACCESS:
                self._obey(self._evidence.judge(call, failure, is_alone=True), call, failure)
            elif alone_since is None:
                alone_since = now
            elif now - alone_since >= REPEAT_SECONDS:
                return
            self._changed.wait(min(ends_at - now, CHECK_SECONDS))
        raise self._circuit.closed_error(call.model)
