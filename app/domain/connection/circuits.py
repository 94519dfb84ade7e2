"""The table of a circuit: what workers report of a connection, and what follows for the calls of all workers.

A circuit is open (calls are made), slowed (some calls are refused for their rate, others succeed) or closed: no call is
made but one probe at a time. This is the only place for these rules. It knows no database and no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

MOST_WAIT_SECONDS = 7 * 86_400.0  # that a model server may ask for
JITTER = 0.2  # the largest part of a wait that is added to it, so that workers do not call at the same moment


class CircuitState(StrEnum):
    OPEN = "open"
    SLOWED = "slowed"
    CLOSED = "closed"


class Probe(StrEnum):
    """How a closed circuit is tried: by a task, or by a call without one where no task can be leased."""

    TASK = "task"
    CALL = "call"
    ANSWERED = "answered"  # the call succeeded: a task is next


class ErrorClass(StrEnum):
    OUTAGE = "outage"  # no answer, or one that says that the server is broken
    RATE_LIMIT = "rate_limit"
    ACCESS = "access"  # the key is not accepted, or has nothing left
    MODEL = "model"  # the server does not know the model


class CallOutcome(StrEnum):
    """What a worker reports of its calls."""

    FAILED = "failed"
    SLOWED = "slowed"
    SUCCEEDED = "succeeded"


class Failures(StrEnum):
    """What becomes of the number of failures in a row, from which the wait follows."""

    MORE = "more"
    SAME = "same"
    NONE = "none"


@dataclass(frozen=True)
class Rule:
    """What follows from a report: the next state, the failures in a row, and what is known of a probe."""

    state: CircuitState
    failures: Failures
    meaning: str
    probe: Probe | None = None  # that is known afterwards; the next one is due at once


OPEN, SLOWED, CLOSED = CircuitState
FAILED, CALLS_SLOWED, SUCCEEDED = CallOutcome
Phase = tuple[CircuitState, Probe | None]
PHASES: tuple[Phase, ...] = (
    (OPEN, None),
    (SLOWED, None),
    (CLOSED, None),
    (CLOSED, Probe.TASK),
    (CLOSED, Probe.CALL),
    (CLOSED, Probe.ANSWERED),
)

_closes = Rule(CLOSED, Failures.MORE, "no call is made but one probe at a time")
_late = Rule(CLOSED, Failures.SAME, "this call began before the closing, or it is the same report again")
_fails_again = Rule(CLOSED, Failures.MORE, "the probe failed: the next wait is longer")
_slows = Rule(SLOWED, Failures.NONE, "calls are made; the worker makes fewer of them")
_opens = Rule(OPEN, Failures.NONE, "calls are made")
_answers = Rule(CLOSED, Failures.SAME, "the server answers again: one task tries whether it works", Probe.ANSWERED)

TABLE: Mapping[CallOutcome, Mapping[Phase, Rule]] = {
    FAILED: dict(zip(PHASES, (_closes, _closes, _late, _fails_again, _fails_again, _late), strict=True)),
    CALLS_SLOWED: dict.fromkeys(PHASES, _slows),
    SUCCEEDED: dict(zip(PHASES, (_opens, _opens, _opens, _opens, _answers, _opens), strict=True)),
}
_SHORT_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 25.0)  # with jitter at most 30 s: so soon a return is noticed
_LONG_WAITS = (30.0, 60.0, 120.0, 300.0, 600.0)
# Nothing but a person ends these, so nothing is gained by trying often; a batch is paused for them at once.
LASTING = frozenset({ErrorClass.ACCESS, ErrorClass.MODEL})


@dataclass(frozen=True)
class CircuitChange:
    """What a report does to a circuit.

    `wait_seconds` is the time to the next probe, None unless the circuit is closed. `is_late`: the report is of a call
    that began earlier; then the time of the next probe stays, if it is later than this one.
    """

    state: CircuitState
    failures: int
    probe: Probe | None
    wait_seconds: float | None = None
    is_late: bool = False


def wait_seconds(error_class: ErrorClass, failures: int, jitter: float) -> float:
    """Seconds to wait after failure number `failures` in a row (from 1); `jitter` is a random number, 0 to 1."""
    waits = _LONG_WAITS if error_class in LASTING else _SHORT_WAITS
    return waits[min(max(failures, 1), len(waits)) - 1] * (1 + JITTER * jitter)


def decide(
    outcome: CallOutcome,
    phase: Phase,
    failures: int,
    error_class: ErrorClass | None,
    retry_after_seconds: float | None,
    jitter: float,
) -> CircuitChange:
    """Decide what a report does to a circuit in `phase` after `failures` in a row.

    A failure has a class. `retry_after_seconds`, which the model server asked for, comes first where it is longer.
    """
    rule = TABLE[outcome][phase]
    count = {Failures.MORE: failures + 1, Failures.SAME: failures, Failures.NONE: 0}[rule.failures]
    if rule.state is not CLOSED:
        return CircuitChange(rule.state, count, None)
    if rule.probe is not None:
        return CircuitChange(CLOSED, count, rule.probe, 0.0)
    asked = min(retry_after_seconds or 0.0, MOST_WAIT_SECONDS)
    if rule is _late:
        return CircuitChange(CLOSED, count, phase[1], asked, is_late=True)
    return CircuitChange(CLOSED, count, None, max(asked, wait_seconds(error_class or ErrorClass.OUTAGE, count, jitter)))
