"""Whose failure is a failed call: its task's or its connection's? Decided from the calls before it. No clock, no lock.

1. A success disproves every failure that came before its call began: that failure was the task's own. Calls that were
   under way together say nothing of each other: the server may have begun to fail between them.
2. Failures of two tasks that no success disproves are the connection's (of a denial: of five tasks, or of two before
   the first success).
3. A failure that the server itself declares to be the connection's (401, a long Retry-After) is the connection's.
4. A task that failed here three times, with a success of others since the first time, has failed by itself. So has a
   task that was refused by a 429 eight times: perhaps it is too large for the limit of a minute.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum

from app.worker.connections.call_failed import CallFailed, ErrorClass

MOST_TASKS = 10_000  # whose failures are remembered
OWN_AFTER = 3  # failures of one task
OWN_AFTER_429 = 8
OWN_AFTER_PROBES = 8  # failures of one task as a probe, while no other task is called
LONGEST_PAUSE_SECONDS = 10.0  # a longer Retry-After closes the connection
OUTAGE_TASKS, DENIED_TASKS, DENIED_TASKS_AT_FIRST = 2, 5, 2


class Verdict(StrEnum):
    """Whose failure it is."""

    TASK = "task"
    CONNECTION = "connection"
    UNDECIDED = "undecided"


@dataclass(eq=False)
class Call:
    """A call that has begun: the n-th of its connection. `is_repeat`: the same task failed a moment ago.

    `newest` is the number of the newest call when this one ended.
    """

    task: Hashable
    model: str
    number: int
    is_probe: bool = False
    is_repeat: bool = False
    newest: int = -1


@dataclass
class Past:
    """The failures of one task: the newest call at the first one, how many there were, as probes, and 429s."""

    first: int
    times: int = 0
    probes: int = 0
    slowed: int = 0


class Evidence:
    """What the calls of one connection have shown."""

    def __init__(self) -> None:
        self.newest_success = -1  # the number of the newest call that succeeded
        self.models: set[str] = set()  # that have succeeded
        self._failed: dict[Hashable, tuple[ErrorClass, int]] = {}  # by task: not disproved; the newest call then
        self._past: OrderedDict[Hashable, Past] = OrderedDict()

    @property
    def has_succeeded(self) -> bool:
        return self.newest_success >= 0

    def succeeded(self, call: Call) -> None:
        """Note that the server has answered a call."""
        self.newest_success = max(self.newest_success, call.number)
        self.models.add(call.model)
        self._past.pop(call.task, None)
        self._failed = {
            task: (why, newest) for task, (why, newest) in self._failed.items() if not self._disproves(newest)
        }

    def disproves(self, call: Call) -> bool:
        """Whether a call that began after this one failed has succeeded: then the failure is its task's own."""
        return self._disproves(call.newest)

    def judge(self, call: Call, failure: CallFailed, is_alone: bool) -> Verdict:
        """Judge the failure of a call; `is_alone` if no other call is under way."""
        past = self._remember(call)
        if failure.was_received and past.times >= OWN_AFTER and self._disproves(past.first):
            return Verdict.TASK
        if failure.is_certain or (failure.wait_seconds or 0.0) > LONGEST_PAUSE_SECONDS:
            return Verdict.CONNECTION
        self._failed[call.task] = failure.error_class, call.newest
        alike = sum(why == failure.error_class for why, _ in self._failed.values())
        if failure.error_class == ErrorClass.ACCESS:
            return self._judge_denial(alike, is_alone)
        return Verdict.CONNECTION if alike >= OUTAGE_TASKS or call.is_repeat else Verdict.UNDECIDED

    def slowed(self, call: Call) -> bool:
        """Note a 429; return whether it is the task's own failure."""
        past = self._past_of(call)
        past.slowed += 1
        return past.slowed >= OWN_AFTER_429 and self._disproves(past.first)

    def judge_probe(self, call: Call, failure: CallFailed) -> Verdict:
        """Judge the failure of a probe, while the connection is closed."""
        past = self._remember(call)
        past.probes += 1
        is_repeated = past.times >= OWN_AFTER and self._disproves(past.first)
        is_own = failure.was_received and (is_repeated or past.probes >= OWN_AFTER_PROBES)
        return Verdict.TASK if is_own else Verdict.CONNECTION

    def _judge_denial(self, alike: int, is_alone: bool) -> Verdict:
        if not self.has_succeeded:
            return Verdict.CONNECTION if is_alone or alike >= DENIED_TASKS_AT_FIRST else Verdict.UNDECIDED
        if alike >= DENIED_TASKS:
            return Verdict.CONNECTION
        return Verdict.TASK if is_alone else Verdict.UNDECIDED

    def _disproves(self, newest: int) -> bool:
        return self.newest_success > newest

    def _remember(self, call: Call) -> Past:
        past = self._past_of(call)
        past.times += 1
        return past

    def _past_of(self, call: Call) -> Past:
        past = self._past.setdefault(call.task, Past(call.newest))
        self._past.move_to_end(call.task)
        if len(self._past) > MOST_TASKS:
            self._past.popitem(last=False)
        return past
