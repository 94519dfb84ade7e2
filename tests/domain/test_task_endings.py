"""The whole matrix, event x attempts, against a copy of the rules that was typed by hand for this test."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import task_endings
from app.domain.leases import BACKOFF_LIMIT_SECONDS, TaskStatus
from app.domain.task_endings import TABLE, Attempts, LeaseEvent, TableError, TaskChange, decide, validate

EVENTS = (
    "completed", "bad result", "left out", "failed", "failed for good", "failed critically", "ran out", "run over",
    "released", "erased", "renewed",
)  # fmt: skip
FIRST, LAST, MOST = 1, 3, 3  # the first and the last of three attempts

# event, attempt -> status, attempt afterwards, what the token was used for, wait, critical, skipped; beside it the rule
RULES = [
    ("completed", FIRST, "COMPLETED", 1, "completed", None, False, False),  # the task has its answer
    ("completed", LAST, "COMPLETED", 3, "completed", None, False, False),  # the last attempt may succeed
    ("bad result", FIRST, "FAILED", 1, "completed", None, False, False),  # never tried again
    ("bad result", LAST, "FAILED", 3, "completed", None, False, False),
    ("left out", FIRST, "COMPLETED", 1, "failed", None, False, True),  # the run goes on without the document
    ("left out", LAST, "COMPLETED", 3, "failed", None, False, True),
    ("failed", FIRST, "QUEUED", 1, "failed", 1.0, False, False),  # tried again after a wait
    ("failed", LAST, "FAILED", 3, "failed", None, False, False),  # no attempt is left
    ("failed for good", FIRST, "FAILED", 1, "failed", None, False, False),  # never tried again
    ("failed for good", LAST, "FAILED", 3, "failed", None, False, False),
    ("failed critically", FIRST, "FAILED", 1, "failed", None, True, False),  # the batch fails with it
    ("failed critically", LAST, "FAILED", 3, "failed", None, True, False),
    ("ran out", FIRST, "QUEUED", 1, None, 0.0, False, False),  # at once; the token counts until the next lease
    ("ran out", LAST, "FAILED", 3, None, None, False, False),  # poisoned
    ("run over", FIRST, "QUEUED", 0, None, 0.0, False, False),  # no report could count: it was no attempt
    ("run over", LAST, "QUEUED", 2, None, 0.0, False, False),
    ("released", FIRST, "QUEUED", 0, "released", 0.0, False, False),  # the attempt does not count
    ("released", LAST, "QUEUED", 2, "released", 0.0, False, False),  # so one attempt is left again
    ("erased", FIRST, "COMPLETED", 1, None, None, False, True),  # the run goes on without the document
    ("erased", LAST, "COMPLETED", 3, None, None, False, True),
    ("renewed", FIRST, "LEASED", 1, None, None, False, False),  # the token still counts
    ("renewed", LAST, "LEASED", 3, None, None, False, False),
]


def test_every_event_has_a_rule_here() -> None:
    assert tuple(LeaseEvent) == EVENTS
    assert [rule[:2] for rule in RULES] == list(product(EVENTS, (FIRST, LAST)))


@pytest.mark.parametrize(
    ("event", "attempt", "status", "attempt_after", "used_for", "wait", "critical", "skipped"), RULES
)
def test_what_follows_from_an_event(
    event: str,
    attempt: int,
    status: str,
    attempt_after: int,
    used_for: str | None,
    wait: float | None,
    critical: bool,
    skipped: bool,
) -> None:
    change = decide(LeaseEvent(event), attempt, MOST)
    assert change == TaskChange(TaskStatus(status), attempt_after, used_for, wait, critical, skipped)
    assert change.is_finished == (status in ("COMPLETED", "FAILED"))
    assert change.answer == (status if used_for in ("completed", "failed") else None)  # only reports are answered


@given(attempt=st.integers(1, 100), more=st.integers(1, 100), seconds=st.floats(0, 86_400))
def test_a_failed_attempt_waits_as_long_as_the_worker_says(attempt: int, more: int, seconds: float) -> None:
    assert decide(LeaseEvent.FAILED, attempt, attempt + more, seconds).wait_seconds == seconds
    usual = decide(LeaseEvent.FAILED, attempt, attempt + more).wait_seconds
    assert usual is not None
    assert 1 <= usual <= BACKOFF_LIMIT_SECONDS


@given(
    event=st.sampled_from([each for each in LeaseEvent if each is not LeaseEvent.FAILED]),
    attempt=st.integers(1, 9),
    most=st.integers(1, 9),
    seconds=st.floats(0, 86_400),
)
def test_no_other_event_waits_longer_for_it(event: LeaseEvent, attempt: int, most: int, seconds: float) -> None:
    assert decide(event, attempt, most, seconds) == decide(event, attempt, most)


@given(event=st.sampled_from(LeaseEvent), attempt=st.integers(1, 9), most=st.integers(1, 9))
def test_a_task_that_is_put_back_has_an_attempt_left(event: LeaseEvent, attempt: int, most: int) -> None:
    """Even if the batch's `max_attempts` was lowered below its attempt: no task goes round for ever."""
    change = decide(event, min(attempt, most), most)
    assert change.status is not TaskStatus.QUEUED or change.attempt < most
    assert decide(event, most + attempt, most).status is decide(event, most, most).status


def test_an_event_that_leaves_the_token_current_is_no_report() -> None:
    current = {event for event in LeaseEvent if decide(event, FIRST, MOST).used_for is None}
    assert current == {LeaseEvent.RAN_OUT, LeaseEvent.RUN_OVER, LeaseEvent.ERASED, LeaseEvent.RENEWED}


ROWS = {(row.event, row.attempts): row for row in TABLE}
RETRY, LEFT_OUT = ROWS[LeaseEvent.FAILED, Attempts.LEFT], ROWS[LeaseEvent.LEFT_OUT, Attempts.ANY]
RENEWED = ROWS[LeaseEvent.RENEWED, Attempts.ANY]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE[1:], "no row for every task: .*COMPLETED"),  # an event without a row
        ([row for row in TABLE if row is not RETRY], "no row for every task: .*FAILED"),  # a row for some tasks only
        ([*TABLE, TABLE[0]], "two rows for the same task"),
        ([*TABLE, replace(RETRY, attempts=Attempts.ANY)], "two rows for the same task"),
        ([replace(RETRY, attempts=Attempts.ANY)], "that has no attempt left"),  # a task that never ends
        ([replace(RETRY, status=TaskStatus.FAILED)], "only a task that is QUEUED waits"),
        ([replace(RETRY, critical=True)], "what is critical is FAILED"),
        ([replace(LEFT_OUT, status=TaskStatus.FAILED)], "what is skipped is COMPLETED"),
        ([replace(RENEWED, used_for="completed")], "was used for nothing yet"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(table: list[task_endings.Ending], message: str) -> None:
    with pytest.raises(TableError, match=message):
        validate(table)


def test_the_table_is_valid() -> None:
    assert len(validate(TABLE)) == len(LeaseEvent) * 2
