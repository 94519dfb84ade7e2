"""The attempts of a task that have ended, as the task keeps them: one line of JSON for each.

An attempt ends with a report that counts, or when its lease runs out. A lease that is handed back is no attempt. The
report of a worker that was only slow still counts: its attempt then has two lines.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from app.domain.task_endings import LeaseEvent
from app.domain.usage import CallUsage

LONGEST_CODE = 64  # characters


class AttemptOutcome(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    RAN_OUT = "ran_out"  # no report and no heartbeat came in time


# The events that end an attempt.
OUTCOMES: dict[LeaseEvent, AttemptOutcome] = {
    LeaseEvent.COMPLETED: AttemptOutcome.COMPLETED,
    LeaseEvent.BAD_RESULT: AttemptOutcome.FAILED,
    LeaseEvent.LEFT_OUT: AttemptOutcome.FAILED,
    LeaseEvent.FAILED: AttemptOutcome.FAILED,
    LeaseEvent.FAILED_FOR_GOOD: AttemptOutcome.FAILED,
    LeaseEvent.FAILED_CRITICALLY: AttemptOutcome.FAILED,
    LeaseEvent.RAN_OUT: AttemptOutcome.RAN_OUT,
}


class Attempt(NamedTuple):
    """An attempt that has ended. `cost_nanos` is None if the cost is not known."""

    number: int
    at: str  # when it ended: RFC 3339
    worker: str | None
    outcome: str
    code: str | None  # of its error
    input_tokens: int
    output_tokens: int
    cost_nanos: int | None
    latency_ms: int | None


def line_of(number: int, at: str, worker: str | None, outcome: str, code: str | None, usage: CallUsage) -> str:
    """Write the line of an attempt: the values of an `Attempt`, in its order."""
    cost_nanos = None if usage.unpriced else usage.cost_nanos
    used = (usage.input_tokens, usage.output_tokens, cost_nanos, usage.latency_ms)
    return orjson.dumps((number, at, worker, outcome, code, *used), option=orjson.OPT_APPEND_NEWLINE).decode()


def attempts_of(lines: str) -> Iterator[Attempt]:
    """Read the attempts that a task keeps, in the order in which they ended."""
    for line in lines.splitlines():
        yield Attempt(*orjson.loads(line))


def code_of(error: dict[str, Any] | None) -> str | None:
    """Read the code of an error, cut to the length that is kept."""
    code = error.get("code") if error else None
    return None if code is None else str(code)[:LONGEST_CODE]
