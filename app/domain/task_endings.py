"""The table of a task: what can happen to a lease, and what follows for its task.

This is the only place where these rules stand: which status the task has next, whether it waits, whether the
attempt counts, and what the lease token was used for. `TABLE` is validated when it is imported. It knows no
database and no clock, and it does not judge whether a lease token still counts: see app.domain.lease_tokens.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from app.domain.leases import FINISHED, RELEASED, Outcome, TaskStatus, backoff_seconds


class LeaseEvent(StrEnum):
    """What can happen to a lease whose token still counts."""

    COMPLETED = "completed"  # the worker reported a result
    BAD_RESULT = "bad result"  # it reported one that cannot be used
    LEFT_OUT = "left out"  # no worker can read the document, and its batch leaves such documents out
    FAILED = "failed"  # this attempt failed; another one may succeed
    FAILED_FOR_GOOD = "failed for good"
    FAILED_CRITICALLY = "failed critically"  # the whole run cannot succeed
    RAN_OUT = "ran out"  # no report and no heartbeat came in time
    RUN_OVER = "run over"  # the same, after the run of the task has ended: no report could count any more
    RELEASED = "released"  # the worker handed the task back unharmed
    ERASED = "erased"  # its document was erased; so it happens to a task that waits for a lease, too
    RENEWED = "renewed"  # the worker goes on


class Attempts(StrEnum):
    """Which tasks a row is for: those that may be attempted again, those that may not, or all."""

    LEFT = "left"
    USED_UP = "used up"
    ANY = "any"


@dataclass(frozen=True)
class Ending:
    """One row: after `event` the task has `status`, and its token was used for `used_for` (None: for nothing yet)."""

    event: LeaseEvent
    attempts: Attempts
    status: TaskStatus
    used_for: str | None
    meaning: str
    waits: bool = False  # before the next attempt
    counts: bool = True  # whether the attempt counts
    critical: bool = False
    skipped: bool = False


class TaskChange(NamedTuple):
    """What an event does to one task."""

    status: TaskStatus
    attempt: int
    used_for: str | None
    wait_seconds: float | None  # until it may be leased again; None where it is not QUEUED
    critical: bool
    skipped: bool

    @property
    def answer(self) -> TaskStatus | None:
        """The status that answers the worker's report, now and whenever it is repeated; None if it was no report."""
        return self.status if self.used_for in _REPORTED else None

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED


_REPORTED = frozenset(Outcome)
QUEUED, LEASED, COMPLETED, FAILED = TaskStatus
LEFT, USED_UP, ANY = Attempts
_completed, _failed = Outcome

TABLE: tuple[Ending, ...] = (
    Ending(LeaseEvent.COMPLETED, ANY, COMPLETED, _completed, "the task has its answer"),
    Ending(LeaseEvent.BAD_RESULT, ANY, FAILED, _completed, "trying again would give the same"),
    Ending(LeaseEvent.LEFT_OUT, ANY, COMPLETED, _failed, "the run goes on without the document", skipped=True),
    Ending(LeaseEvent.FAILED, LEFT, QUEUED, _failed, "try again after a wait", waits=True),
    Ending(LeaseEvent.FAILED, USED_UP, FAILED, _failed, "no attempt is left"),
    Ending(LeaseEvent.FAILED_FOR_GOOD, ANY, FAILED, _failed, "trying again would not help"),
    Ending(LeaseEvent.FAILED_CRITICALLY, ANY, FAILED, _failed, "the run fails with it", critical=True),
    Ending(LeaseEvent.RAN_OUT, LEFT, QUEUED, None, "another worker may have it; a slow report still counts"),
    Ending(LeaseEvent.RAN_OUT, USED_UP, FAILED, None, "the task may kill its workers"),
    Ending(LeaseEvent.RUN_OVER, ANY, QUEUED, None, "it says nothing about the task", counts=False),
    Ending(LeaseEvent.RELEASED, ANY, QUEUED, RELEASED, "another worker may have it", counts=False),
    Ending(LeaseEvent.ERASED, ANY, COMPLETED, None, "the run goes on without the document", skipped=True),
    Ending(LeaseEvent.RENEWED, ANY, LEASED, None, "the lease goes on, even if its time was over"),
)


class TableError(ValueError):
    """The table contradicts itself; the service does not start with it."""


def validate(table: Iterable[Ending]) -> dict[tuple[LeaseEvent, bool], Ending]:
    """Return the table by event and whether attempts are left; raise TableError where it contradicts itself."""
    found: dict[tuple[LeaseEvent, bool], Ending] = {}
    for row in table:
        for left in (True, False) if row.attempts is ANY else (row.attempts is LEFT,):
            if (row.event, left) in found:
                raise TableError(f"{row.event!r} has two rows for the same task")
            found[row.event, left] = row
            if row.status is QUEUED and row.counts and not left:
                raise TableError(f"{row.event!r} puts a task back that has no attempt left")
        if row.waits and row.status is not QUEUED:
            raise TableError(f"{row.event!r}: only a task that is QUEUED waits")
        if (row.critical and row.status is not FAILED) or (row.skipped and row.status is not COMPLETED):
            raise TableError(f"{row.event!r}: what is critical is FAILED, and what is skipped is COMPLETED")
        if row.status is LEASED and row.used_for is not None:
            raise TableError(f"{row.event!r}: the token of a lease that goes on was used for nothing yet")
    if missing := [event for event in LeaseEvent for left in (True, False) if (event, left) not in found]:
        raise TableError(f"no row for every task: {missing}")
    return found


_BY_EVENT = validate(TABLE)


def decide(event: LeaseEvent, attempt: int, max_attempts: int, retry_after_seconds: float | None = None) -> TaskChange:
    """Decide what `event` does to a task in its attempt number `attempt` (from 1).

    `retry_after_seconds` replaces the usual wait of a task that waits before its next attempt.
    """
    is_left = attempt < max_attempts
    change = _change(event, attempt, is_left)
    if not _BY_EVENT[event, is_left].waits:
        return change
    return change._replace(
        wait_seconds=backoff_seconds(attempt) if retry_after_seconds is None else retry_after_seconds
    )


@lru_cache(maxsize=1_024)  # the same happens to most tasks of a transaction
def _change(event: LeaseEvent, attempt: int, is_left: bool) -> TaskChange:
    """Make what an event does to a task, but for its wait before the next attempt."""
    row = _BY_EVENT[event, is_left]
    attempt_after = attempt if row.counts else attempt - 1
    wait = 0.0 if row.status is QUEUED else None
    return TaskChange(row.status, attempt_after, row.used_for, wait, row.critical, row.skipped)
