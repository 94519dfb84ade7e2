"""The whole matrix, state x trigger, against a copy of the contract's table that was typed by hand for this test."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import transitions
from app.domain.facts import Facts
from app.domain.transitions import BatchState, Kind, can, decide, due, resolve
from app.errors import GuardRefused, StateRefused, UnknownAction
from tests.domain import situations as s
from tests.domain.situations import any_facts

STATES = ("SAVED", "STAGING", "STAGED", "ANALYZING", "PAUSED", "COMPLETED", "FAILED")

# from, trigger, kind, to, facts that the guard accepts; beside it the rule
RULES = [
    ("SAVED", "stage", "action", "STAGING", s.HAS_WORK),  # a batch with work is staged
    ("SAVED", "reset", "action", "SAVED", s.EMPTY),  # a new batch may be reset: it stays as it is
    ("STAGING", "staging_completed", "event", "STAGED", s.STAGING_DONE),  # all staging tasks COMPLETED
    ("STAGING", "staging_failed", "event", "FAILED", s.STAGING_BROKEN),  # a staging task FAILED
    ("STAGED", "run", "action", "ANALYZING", s.EMPTY),  # what is staged may run
    ("ANALYZING", "pause", "action", "PAUSED", s.RUN_GOES_ON),  # with active tasks there is something to pause
    ("ANALYZING", "cancel", "action", "FAILED", s.RUN_GOES_ON),  # a run is given up
    ("ANALYZING", "tasks_finished", "event", "COMPLETED", s.RUN_DONE),  # no task of the run is open
    ("ANALYZING", "critical_error", "event", "FAILED", s.RUN_CRITICAL),  # a worker reported a critical error
    ("PAUSED", "resume", "action", "ANALYZING", s.EMPTY),  # even if its work ended meanwhile
    ("PAUSED", "cancel", "action", "FAILED", s.EMPTY),  # a paused run is given up
    ("COMPLETED", "restage", "action", "STAGING", s.EMPTY),  # the next run
    ("COMPLETED", "reset", "action", "SAVED", s.EMPTY),  # editable again
    ("FAILED", "restage", "action", "STAGING", s.EMPTY),  # the retry after a failure
    ("FAILED", "reset", "action", "SAVED", s.EMPTY),  # editable again
]
TARGETS = {(source, trigger): (kind, target) for source, trigger, kind, target, _ in RULES}
ACTIONS = ("stage", "run", "pause", "resume", "cancel", "restage", "reset")
EVENTS = ("staging_completed", "staging_failed", "tasks_finished", "critical_error")
NO_TRIGGERS = (
    "", " ", "STAGE", "Pause", "pause ", "stop", "create", "add_documents", "rename", "archive",
    "SAVED", "edit", "retry", "critical-error", "None", "pause\n", "__class__",
)  # fmt: skip


def test_the_states_and_triggers_are_those_of_the_contract() -> None:
    assert tuple(BatchState) == STATES
    assert transitions.ACTIONS == ACTIONS
    assert transitions.EVENTS == EVENTS
    assert BatchState("SAVED") is transitions.INITIAL
    assert set(transitions.LEGAL_PAIRS) == {(source, target) for source, _, _, target, _ in RULES}


@pytest.mark.parametrize(("state", "word"), list(product(STATES, ACTIONS)))
def test_an_action_in_a_state(state: str, word: str) -> None:
    if (state, word) in TARGETS:
        assert resolve(word, BatchState(state)).target == TARGETS[state, word][1]
    else:
        with pytest.raises(StateRefused, match=f"^{word} needs a batch that is .*; this one is {state}.$"):
            resolve(word, BatchState(state))


@pytest.mark.parametrize(("state", "word"), list(product(STATES, EVENTS)))
def test_an_event_in_a_state(state: str, word: str) -> None:
    if (state, word) in TARGETS:
        assert resolve(word, BatchState(state), Kind.EVENT).target == TARGETS[state, word][1]
    else:
        with pytest.raises(StateRefused):
            resolve(word, BatchState(state), Kind.EVENT)


@pytest.mark.parametrize(("state", "word"), list(product(STATES, EVENTS)))
def test_an_event_is_no_action_in_any_state(state: str, word: str) -> None:
    with pytest.raises(UnknownAction, match="is an event: the service raises it itself") as refusal:
        resolve(word, BatchState(state))
    assert refusal.value.facts["valid_actions"] == list(ACTIONS)


@pytest.mark.parametrize(("state", "word"), list(product(STATES, ACTIONS)))
def test_an_action_is_no_event_in_any_state(state: str, word: str) -> None:
    with pytest.raises(UnknownAction):
        resolve(word, BatchState(state), Kind.EVENT)


@pytest.mark.parametrize(("state", "word"), list(product(STATES, NO_TRIGGERS)))
def test_other_words_are_no_triggers_in_any_state(state: str, word: str) -> None:
    for kind in (Kind.ACTION, Kind.EVENT):
        with pytest.raises(UnknownAction) as refusal:
            resolve(word, BatchState(state), kind)
        assert "is no action" in refusal.value.detail
        assert refusal.value.facts["valid_actions"] == list(ACTIONS)


@given(word=st.text(), state=st.sampled_from(BatchState))
def test_no_other_word_at_all_is_an_action(word: str, state: BatchState) -> None:
    allowed, reason = can(word, state, s.HAS_WORK)
    assert allowed == (TARGETS.get((state, word), ("", ""))[0] == "action")
    assert bool(reason) != allowed


@pytest.mark.parametrize(("source", "trigger", "kind", "target", "facts"), RULES)
def test_decide_follows_the_rule(source: str, trigger: str, kind: str, target: str, facts: Facts) -> None:
    row = decide(trigger, BatchState(source), facts, Kind(kind))
    assert (row.trigger, row.kind, row.target) == (trigger, kind, target)


@pytest.mark.parametrize(
    ("source", "trigger", "kind", "facts", "objection"),
    [
        ("SAVED", "stage", "action", s.EMPTY, "the batch has no documents and no prompts and no models"),
        ("SAVED", "stage", "action", Facts(documents=1, prompts=1), "the batch has no models"),
        ("STAGING", "staging_completed", "event", s.STAGING_GOES_ON, "staging tasks that are not completed: 1"),
        ("STAGING", "staging_completed", "event", s.HAS_WORK, "the tasks are still being written"),
        ("STAGING", "staging_completed", "event", s.NOTHING_CAME_OUT, "staging made no analysis tasks"),
        ("STAGING", "staging_failed", "event", s.STAGING_GOES_ON, "staging can still succeed"),
        ("STAGING", "staging_failed", "event", s.STAGING_DONE, "staging can still succeed"),
        ("ANALYZING", "pause", "action", s.RUN_DONE, "the batch has no active tasks (queued or leased)"),
        ("ANALYZING", "tasks_finished", "event", s.RUN_GOES_ON, "2 tasks are open"),
        ("ANALYZING", "tasks_finished", "event", s.RUN_ALL_FAILED, "All 2 tasks of the run failed."),
        ("ANALYZING", "critical_error", "event", s.RUN_GOES_ON, "the run can still succeed"),
        ("ANALYZING", "critical_error", "event", s.RUN_DONE, "the run can still succeed"),
    ],
)
def test_a_guard_objects(source: str, trigger: str, kind: str, facts: Facts, objection: str) -> None:
    with pytest.raises(GuardRefused) as refusal:
        decide(trigger, BatchState(source), facts, Kind(kind))
    assert refusal.value.detail == f"{trigger} is not possible: {objection}."


@pytest.mark.parametrize(
    ("state", "action", "facts", "reason"),
    [
        ("SAVED", "stage", s.HAS_READY_TASKS, ""),
        ("ANALYZING", "pause", s.RUN_GOES_ON, ""),
        ("PAUSED", "pause", s.RUN_GOES_ON, "pause needs a batch that is ANALYZING; this one is PAUSED."),
        ("SAVED", "cancel", s.EMPTY, "cancel needs a batch that is ANALYZING or PAUSED; this one is SAVED."),
        (
            "STAGED",
            "reset",
            s.EMPTY,
            "reset needs a batch that is SAVED or COMPLETED or FAILED; this one is STAGED.",
        ),
        ("SAVED", "stage", s.EMPTY, "stage is not possible: the batch has no documents and no prompts and no models."),
        (
            "ANALYZING",
            "tasks_finished",
            s.RUN_DONE,
            "'tasks_finished' is an event: the service raises it itself. "
            "Actions are: stage, run, pause, resume, cancel, restage, reset.",
        ),
        ("SAVED", "go", s.EMPTY, "'go' is no action. Actions are: stage, run, pause, resume, cancel, restage, reset."),
    ],
)  # fmt: skip
def test_can_says_why_not(state: str, action: str, facts: Facts, reason: str) -> None:
    assert can(action, BatchState(state), facts) == (reason == "", reason)


@pytest.mark.parametrize(
    ("state", "facts", "actions"),
    [
        ("SAVED", s.EMPTY, ["reset"]),
        ("SAVED", s.HAS_WORK, ["stage", "reset"]),
        ("STAGING", s.STAGING_GOES_ON, []),
        ("STAGED", s.STAGING_DONE, ["run"]),
        ("ANALYZING", s.RUN_GOES_ON, ["pause", "cancel"]),
        ("ANALYZING", s.RUN_DONE, ["cancel"]),
        ("PAUSED", s.RUN_GOES_ON, ["resume", "cancel"]),
        ("COMPLETED", s.RUN_DONE, ["restage", "reset"]),
        ("FAILED", s.RUN_DONE, ["restage", "reset"]),
    ],
)
def test_allowed_lists_the_actions(state: str, facts: Facts, actions: list[str]) -> None:
    assert transitions.allowed(BatchState(state), facts) == actions


@given(state=st.sampled_from(BatchState), facts=any_facts())
def test_allowed_and_can_agree(state: BatchState, facts: Facts) -> None:
    assert set(transitions.allowed(state, facts)) == {a for a in ACTIONS if can(a, state, facts) == (True, "")}


@pytest.mark.parametrize(
    ("state", "facts", "event"),
    [
        ("STAGING", s.STAGING_GOES_ON, None),
        ("STAGING", s.HAS_WORK, None),
        ("STAGING", s.STAGING_DONE, "staging_completed"),
        ("STAGING", s.STAGING_BROKEN, "staging_failed"),
        ("STAGING", s.NOTHING_CAME_OUT, "staging_failed"),
        ("STAGING", s.STAGING_STUCK, "staging_failed"),
        ("ANALYZING", s.RUN_GOES_ON, None),
        ("ANALYZING", s.RUN_DONE, "tasks_finished"),
        ("ANALYZING", s.RUN_CRITICAL, "critical_error"),
        ("ANALYZING", s.RUN_OVER_LIMIT, "critical_error"),
        ("ANALYZING", s.RUN_ALL_FAILED, "critical_error"),
    ],
)
def test_due_finds_the_event(state: str, facts: Facts, event: str | None) -> None:
    found = due(BatchState(state), facts)
    assert (found.trigger if found else None) == event


@given(state=st.sampled_from(BatchState), facts=any_facts())
def test_never_two_events_are_due_at_once(state: BatchState, facts: Facts) -> None:
    holding = [e for e in EVENTS if (state, e) in TARGETS and transitions.BY_TRIGGER[e].guard(facts) is None]
    assert len(holding) <= 1
    found = due(state, facts)
    assert holding == ([found.trigger] if found else [])


@given(state=st.sampled_from(["SAVED", "STAGED", "PAUSED", "COMPLETED", "FAILED"]), facts=any_facts())
def test_events_are_judged_in_staging_and_analyzing_alone(state: str, facts: Facts) -> None:
    assert due(BatchState(state), facts) is None


@given(facts=any_facts())
def test_a_phase_without_open_tasks_always_ends(facts: Facts) -> None:
    if not facts.analysis.open:
        assert due(BatchState.ANALYZING, facts) is not None
    if facts.all_tasks_written and not facts.staging.open:
        assert due(BatchState.STAGING, facts) is not None


def test_what_entering_a_state_does() -> None:
    assert transitions.ENTRY_TIMES == {
        "STAGED": "staged_at",
        "ANALYZING": "started_at",
        "COMPLETED": "finished_at",
        "FAILED": "finished_at",
    }
    assert {"STAGING"} == transitions.BEGINS_RUN  # stage and restage begin a run
    assert {"STAGING", "SAVED"} == transitions.CLEARS_OUTCOME  # stage, restage and reset clear the outcome


def test_where_work_is_handed_out_and_its_reports_count() -> None:
    assert {"STAGE": {"STAGING"}, "ANALYZE": {"ANALYZING"}} == transitions.LEASES_IN
    assert {"STAGE": {"STAGING"}, "ANALYZE": {"ANALYZING", "PAUSED"}} == transitions.REPORTS_IN


def test_the_edits() -> None:
    assert transitions.CREATE == "create"
    assert transitions.ADD_DOCUMENTS.sources == ("SAVED",)
    assert transitions.REPLACE_DOCUMENT.sources == ("SAVED",)
    assert transitions.RENAME.sources == STATES
    assert transitions.ARCHIVE.sources == ("SAVED", "COMPLETED", "FAILED")
    assert transitions.ERASE_DOCUMENT.sources == STATES
    assert transitions.ERASE_RUNS.sources == ("SAVED", "COMPLETED", "FAILED")
    assert transitions.PURGE.sources == ("SAVED", "COMPLETED", "FAILED")


@pytest.mark.parametrize(
    ("state", "way"),
    [
        ("SAVED", "SAVED STAGING STAGED ANALYZING COMPLETED"),
        ("PAUSED", "SAVED STAGING STAGED ANALYZING PAUSED COMPLETED"),
        ("COMPLETED", "SAVED STAGING STAGED ANALYZING COMPLETED"),
        ("FAILED", "SAVED STAGING STAGED ANALYZING FAILED"),  # a run that failed was never COMPLETED
    ],
)
def test_the_way_through_the_states(state: str, way: str) -> None:
    assert transitions.main_way(BatchState(state)) == way.split()
