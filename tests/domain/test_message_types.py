"""Which message a change is told as, in our words and in those of OpenAI's API."""

import pytest

from app.domain.transitions import BatchState
from app.domain.webhook.message_types import OPENAI_TYPES, ChangeOfState, MessageType, openai_type_of, type_of

ALL = frozenset(MessageType)


@pytest.mark.parametrize(
    ("trigger", "failure", "told"),
    [
        ("stage", None, "batch.state_changed"),
        ("staging_completed", None, "batch.staged"),
        ("run", None, "batch.started"),
        ("pause", None, "batch.paused"),
        ("resume", None, "batch.resumed"),
        ("tasks_finished", None, "batch.completed"),
        ("cancel", None, "batch.cancelled"),
        ("critical_error", "failure_limit", "batch.failed"),
        ("critical_error", "expired", "batch.expired"),
        ("staging_failed", "staging_timeout", "batch.failed"),
        ("restage", None, "batch.state_changed"),
        ("reset", None, "batch.state_changed"),
    ],
)
def test_each_trigger_has_its_type(trigger: str, failure: str | None, told: str) -> None:
    change = ChangeOfState(trigger, BatchState.FAILED, failure)
    assert type_of(change, ALL) == told
    assert type_of(change, {"batch.state_changed"}) == "batch.state_changed"
    assert type_of(change, {"limit.near"}) is None


@pytest.mark.parametrize(
    ("change", "cancel_is_wanted", "told"),
    [
        (ChangeOfState("tasks_finished", BatchState.COMPLETED), False, "batch.completed"),
        (ChangeOfState("tasks_finished", BatchState.COMPLETED), True, "batch.cancelled"),
        (ChangeOfState("critical_error", BatchState.FAILED, "all_tasks_failed"), False, "batch.completed"),
        (ChangeOfState("critical_error", BatchState.FAILED, "expired"), False, "batch.expired"),
        (ChangeOfState("critical_error", BatchState.FAILED, "failure_limit"), False, "batch.failed"),
        (ChangeOfState("staging_failed", BatchState.FAILED, "invalid_input"), False, "batch.failed"),
        (ChangeOfState("cancel", BatchState.FAILED), False, "batch.cancelled"),
        (ChangeOfState("pause", BatchState.PAUSED), False, None),
        (ChangeOfState("run", BatchState.ANALYZING), True, None),
    ],
)
def test_an_end_is_told_as_the_status_that_v1_shows(
    change: ChangeOfState, cancel_is_wanted: bool, told: str | None
) -> None:
    assert openai_type_of(change, OPENAI_TYPES, cancel_is_wanted) == told
    assert openai_type_of(change, (), cancel_is_wanted) is None
