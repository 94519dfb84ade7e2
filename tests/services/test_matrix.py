"""Every state with every action and event, on a real batch: the answer, and what it changed."""

import pytest

from app.domain import transitions
from app.domain.transitions import ACTIONS, BY_TRIGGER, EVENTS, BatchState, Kind
from app.models import Task
from app.services import Services
from tests.services import stories
from tests.services.stories import act, ask, audit, bring, create, snapshot, view

UNKNOWN = ("", "STAGE", "stage ", "start", "delete", "create", "rename", "None", "staging", "'; --", "\U0001f6a6")
WRITE_TASKS = {"stage", "restage"}


def is_legal(word: str, state: BatchState) -> bool:
    """Check whether the table has this action from this state: the batches here satisfy all guards."""
    row = BY_TRIGGER.get(word)
    return row is not None and row.kind is Kind.ACTION and state in row.sources


@pytest.mark.parametrize("word", ACTIONS)
@pytest.mark.parametrize("state", BatchState)
def test_each_action_in_each_state(services: Services, state: BatchState, word: str) -> None:
    """Contract 2 and 3: an allowed action adds 1 to the version and writes one audit row; a refusal changes nothing."""
    batch_id = bring(services, state)
    before, shown, rows = snapshot(services), view(services, batch_id), audit(services, batch_id)
    allowed, reason = services.batches.can_transition(batch_id, word)
    answer = ask(services, batch_id, word, reason="because")
    assert (answer["success"], allowed) == (is_legal(word, state), is_legal(word, state))
    if not allowed:
        assert snapshot(services) == before
        assert answer["reason"] == reason != ""
        assert (answer["code"], answer["status"]) == ("state_refused", 409)
        standing = {"batch_id": batch_id, "current_state": state, "version": shown["version"]}
        assert {name: answer[name] for name in standing} == standing
        assert answer["allowed_actions"] == shown["allowed_actions"] == [a for a in ACTIONS if is_legal(a, state)]
        return
    target = BY_TRIGGER[word].target
    change = {"previous_state": state, "new_state": target, "version": shown["version"] + 1, "action": word}
    assert reason == ""
    assert {name: answer[name] for name in change} == change
    assert answer["batch"] == view(services, batch_id)
    assert (answer["batch"]["state"], answer["batch"]["version"]) == (target, shown["version"] + 1)
    (row,) = audit(services, batch_id)[len(rows) :]
    assert (row["trigger"], row["kind"], row["version"]) == (word, "action", shown["version"] + 1)
    assert (row["from_state"], row["to_state"], row["reason"]) == (state, target, "because")
    assert audit(services, batch_id)[:-1] == rows
    if word not in WRITE_TASKS:
        after = snapshot(services)
        changed = {name for name in before if after[name] != before[name]}
        assert changed == {"batches", "audit_log"}, "an action costs the same whatever the size of the batch"


@pytest.mark.parametrize("state", BatchState)
def test_each_event_and_unknown_word_in_each_state(services: Services, state: BatchState) -> None:
    """Contract 2: an event or an unknown word, sent as an action, is refused; nothing changes."""
    batch_id = bring(services, state)
    before = snapshot(services)
    for word in (*EVENTS, *UNKNOWN):
        answer = ask(services, batch_id, word)
        assert (answer["success"], answer["code"], answer["status"]) == (False, "unknown_action", 422), word
        assert answer["valid_actions"] == list(ACTIONS)
        assert ("the service raises it itself" in answer["reason"]) == (word in EVENTS)
        assert services.batches.can_transition(batch_id, word) == (False, answer["reason"])
    assert snapshot(services) == before


@pytest.mark.parametrize("state", BatchState)
def test_the_list_of_actions_is_what_asking_answers(services: Services, state: BatchState) -> None:
    """Contract 5: `/actions` and `allowed_actions` take the guards into account."""
    batch_id = bring(services, state)
    listed = services.batches.actions(batch_id)
    assert [each["action"] for each in listed] == list(ACTIONS)
    for each in listed:
        assert (each["allowed"], each["reason"] or "") == services.batches.can_transition(batch_id, each["action"])
        assert (each["reason"] is None) == each["allowed"] == is_legal(each["action"], state)
    assert view(services, batch_id)["allowed_actions"] == [each["action"] for each in listed if each["allowed"]]


@pytest.mark.parametrize(
    ("shape", "missing"),
    [
        ({"documents": 0}, "the batch has no documents"),
        ({"prompts": 0}, "the batch has no prompts"),
        ({"models": 0}, "the batch has no models"),
        ({"documents": 0, "prompts": 0, "models": 0}, "the batch has no documents and no prompts and no models"),
    ],
)
def test_stage_needs_work(services: Services, shape: dict[str, int], missing: str) -> None:
    """Contract 2: the guard of `stage` names the input that is missing."""
    batch_id = create(services, **shape)
    before = snapshot(services)
    answer = ask(services, batch_id, "stage")
    assert (answer["success"], answer["code"], answer["status"]) == (False, "guard_refused", 409)
    assert answer["reason"] == f"stage is not possible: {missing}."
    assert services.batches.can_transition(batch_id, "stage") == (False, answer["reason"])
    assert answer["allowed_actions"] == ["reset"]
    assert snapshot(services) == before


def test_pause_needs_active_tasks(services: Services) -> None:
    """Contract 2: without queued or leased tasks there is nothing to pause; the due event comes first."""
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = stories.lease_one(services, batch_id)
    assert services.batches.can_transition(batch_id, "pause") == (True, "")  # leased is active
    with services.engine.begin() as connection:  # the process dies between the report and the event
        stories.complete_in(connection, leased)
    assert services.batches.can_transition(batch_id, "pause") == (
        False,
        "pause is not possible: the batch has no active tasks (queued or leased).",
    )
    answer = ask(services, batch_id, "pause")
    assert (answer["success"], answer["current_state"]) == (False, "COMPLETED")
    assert stories.trail(services, batch_id)[-1] == "tasks_finished"


@pytest.mark.parametrize("word", [*ACTIONS, *EVENTS, "nonsense"])
def test_a_batch_that_is_not_there(services: Services, word: str) -> None:
    """Contract 3: the refusal is returned, not raised."""
    answer = ask(services, 4711, word)
    code, status = ("not_found", 404) if word in ACTIONS else ("unknown_action", 422)
    assert (answer["success"], answer["code"], answer["status"]) == (False, code, status)
    assert services.batches.can_transition(4711, word) == (False, "There is no batch 4711.")


@pytest.mark.parametrize("state", BatchState)
def test_a_rehearsal_decides_the_same_and_changes_nothing(services: Services, state: BatchState) -> None:
    """Contract 5: `dry_run` decides and changes nothing."""
    batch_id = bring(services, state)
    before = snapshot(services)
    for action in ACTIONS:
        answer = ask(services, batch_id, action, dry_run=True)
        assert (answer["success"], answer["dry_run"]) == (is_legal(action, state), True)
        if answer["success"]:
            assert (answer["previous_state"], answer["new_state"]) == (state, BY_TRIGGER[action].target)
            assert answer["version"] == view(services, batch_id)["version"]
            forecast = {"calls", "cost", "cost_range"} if BY_TRIGGER[action].target == BatchState.STAGING else set()
            assert set(answer["effect"]) == {"tasks_stopped", "leases_in_flight", "results_kept"} | forecast
        else:
            assert answer["reason"] == services.batches.can_transition(batch_id, action)[1]
    assert snapshot(services) == before


def test_a_rehearsal_counts_what_it_would_do(services: Services) -> None:
    """Contract 5: the tasks that `pause` and `cancel` would stop, those in flight, and the results that are kept."""
    batch_id = bring(services, "ANALYZING", documents=4)
    first, _second = stories.lease(services, batch_id, most=2)
    stories.complete(services, first)
    for action in ("pause", "cancel"):
        effect = ask(services, batch_id, action, dry_run=True)["effect"]
        assert effect == {"tasks_stopped": 2, "leases_in_flight": 1, "results_kept": 1}
    act(services, batch_id, "pause")
    effect = ask(services, batch_id, "resume", dry_run=True)["effect"]
    assert effect == {"tasks_stopped": 0, "leases_in_flight": 1, "results_kept": 1}


@pytest.mark.parametrize("state", BatchState)
def test_if_match_is_judged_before_the_table(services: Services, state: BatchState) -> None:
    """Contract 4: a mismatch is 412 and changes nothing, whether the action would be allowed or not."""
    batch_id = bring(services, state)
    version, before = view(services, batch_id)["version"], snapshot(services)
    for action in ACTIONS:
        for dry_run in (False, True):
            for wrong in (version - 1, version + 1, 0):
                answer = ask(services, batch_id, action, if_version=wrong, dry_run=dry_run)
                assert (answer["success"], answer["code"], answer["status"]) == (False, "version_mismatch", 412)
                assert (answer["current_state"], answer["version"]) == (state, version)
    assert snapshot(services) == before
    (first,) = [a for a in ACTIONS if is_legal(a, state)][:1] or [None]
    if first:
        assert ask(services, batch_id, first, if_version=version)["success"]
    else:
        assert state is transitions.STAGING  # the one state that no action leaves


@pytest.mark.parametrize(
    "context", [{"if_version": "3"}, {"if_version": True}, {"if_version": 1.0}], ids=["text", "flag", "fraction"]
)
def test_a_malformed_if_version_is_answered(services: Services, context: dict[str, object]) -> None:
    """Contract 4: malformed is 422."""
    batch_id = create(services)
    before = snapshot(services)
    answer = ask(services, batch_id, "stage", **context)
    assert (answer["success"], answer["code"], answer["status"]) == (False, "invalid", 422)
    assert snapshot(services) == before


def test_a_context_that_is_no_object_is_answered(services: Services) -> None:
    batch_id = create(services)
    for context in (None, [], "reason"):
        answer = services.batches.request_state_change(batch_id, "stage", context)  # type: ignore[arg-type]
        assert (answer["success"], answer["status"]) == (False, 422)
    assert stories.rows_of(services, Task) == []
