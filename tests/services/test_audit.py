"""The audit trail: one row for each change, from the creation on, with actor, reason and context."""

from itertools import pairwise

import pytest

from app.db import transaction
from app.domain.transitions import BatchState
from app.errors import NotFound
from app.services import Services
from app.services.batch.orders import Order
from app.services.input import edits
from tests.services import stories
from tests.services.stories import OPERATOR, act, audit, bring, create, trail, view
from tests.support.moments import is_from, now


def test_the_first_row_is_the_creation(services: Services) -> None:
    """Contract 4: version 1 is the creation, an edit without a state before it."""
    began = now()
    batch_id = create(services)
    (row,) = audit(services, batch_id)
    expected = {"version": 1, "trigger": "create", "kind": "edit", "from_state": None, "to_state": "SAVED"}
    assert {name: row[name] for name in expected} == expected
    assert (row["actor"], row["role"], row["reason"], row["context"]) == ("an operator", "operator", None, {})
    assert row["at"].endswith("Z")
    assert is_from(began, 0, row["at"])
    assert row["at"] == view(services, batch_id)["created_at"]


def test_a_whole_life_has_no_gap_and_no_twin(services: Services) -> None:
    """Contract 4: versions 1..N; each row starts where the row before led to; the last leads to the batch's state."""
    batch_id = create(services, documents=2)
    way = "stage * run pause resume * restage * run cancel reset stage"
    for _ in stories.walk(services, batch_id, way, reuse="none"):
        rows, batch = audit(services, batch_id), view(services, batch_id)
        assert [row["version"] for row in rows] == [*range(1, batch["version"] + 1)]
        assert all(earlier["to_state"] == later["from_state"] for earlier, later in pairwise(rows))
        assert (rows[-1]["to_state"], rows[-1]["at"]) == (batch["state"], batch["updated_at"])
    assert trail(services, batch_id) == [
        "create", "stage", "staging_completed", "run", "pause", "resume", "tasks_finished",
        "restage", "staging_completed", "run", "cancel", "reset", "stage",
    ]  # fmt: skip
    events = [row for row in rows if row["kind"] == "event"]
    assert {row["trigger"] for row in events} == {"staging_completed", "tasks_finished"}
    assert {(row["actor"], row["role"]) for row in events} == {("system", "system")}


def test_an_audit_row_names_the_caller_and_the_reason(services: Services) -> None:
    """Contract 3 and 5: the service's keys become columns; the caller's own keys, with the reason, are the context."""
    batch_id = bring(services, "ANALYZING")
    own = {"reason": "model server is down", "ticket": 17, "nested": {"list": [1, None, "é"]}}
    context = {"actor": "anna", "role": "admin", "request_id": "r-1", "if_version": 4, "dry_run": False, **own}
    assert services.batches.request_state_change(batch_id, "pause", context)["success"]
    row = audit(services, batch_id)[-1]
    assert (row["actor"], row["role"], row["request_id"]) == ("anna", "admin", "r-1")
    assert row["reason"] == "model server is down"
    assert row["context"] == own


def test_without_a_context_the_system_asked(services: Services) -> None:
    batch_id = create(services)
    assert services.batches.request_state_change(batch_id, "stage", {})["success"]
    row = audit(services, batch_id)[-1]
    assert (row["actor"], row["role"], row["reason"], row["context"]) == ("system", "system", None, {})


def test_an_events_row_names_the_request_that_set_it_off(services: Services) -> None:
    """Contract 5: `stage` of ready-made tasks leads to an event at once: two rows, the second one by the system."""
    batch_id = stories.create_ready(services, 3)
    answer = act(services, batch_id, "stage", request_id="r-2", reason="go")
    assert (answer["previous_state"], answer["new_state"], answer["version"]) == ("SAVED", "STAGING", 2)
    assert (answer["batch"]["state"], answer["batch"]["version"]) == ("STAGED", 3)
    action, event = audit(services, batch_id)[1:]
    assert (action["trigger"], action["kind"], action["actor"]) == ("stage", "action", "an operator")
    assert (event["trigger"], event["kind"], event["actor"]) == ("staging_completed", "event", "system")
    assert (action["request_id"], event["request_id"]) == ("r-2", "r-2")
    assert (event["reason"], event["context"]) == (None, {})


@pytest.mark.parametrize("ends", ["completed", "failed"])
def test_resume_of_finished_work_is_two_rows(services: Services, ends: str) -> None:
    """Contract 2: a batch whose last task finishes while it is PAUSED stays PAUSED; `resume` makes two changes."""
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = stories.lease_one(services, batch_id)
    act(services, batch_id, "pause")
    if ends == "completed":
        stories.complete(services, leased)
    else:
        stories.fail(services, leased, retryable=False)
    services.sweeper.sweep()
    assert view(services, batch_id)["state"] == "PAUSED"
    assert view(services, batch_id)["allowed_actions"] == ["resume", "cancel"]
    answer = act(services, batch_id, "resume")
    expected = ("tasks_finished", "COMPLETED") if ends == "completed" else ("critical_error", "FAILED")
    assert (answer["previous_state"], answer["new_state"]) == ("PAUSED", "ANALYZING")
    assert answer["batch"]["state"] == expected[1]
    rows = audit(services, batch_id)[-2:]
    ways = [(row["trigger"], row["kind"], row["from_state"], row["to_state"]) for row in rows]
    assert ways == [("resume", "action", "PAUSED", "ANALYZING"), (expected[0], "event", "ANALYZING", expected[1])]
    assert [row["version"] for row in rows] == [answer["version"], answer["version"] + 1]


@pytest.mark.parametrize("state", BatchState)
def test_edits_are_rows_whose_states_are_the_same(services: Services, state: BatchState) -> None:
    """Contract 4: documents added, renamed, archived: rows of kind `edit`."""
    batch_id = bring(services, state)
    version = view(services, batch_id)["version"]
    order = Order("anna", "operator", request_id="r-3", context={"reason": "typo"})
    edits.rename(services.batches, batch_id, {"name": "contracts, Q3", "description": "all"}, order)
    shown = view(services, batch_id)
    assert (shown["name"], shown["description"], shown["version"]) == ("contracts, Q3", "all", version + 1)
    made = ["rename"]
    if state == "SAVED":
        edits.add_documents(services.batches, batch_id, [stories.document("late.txt")], order)
        made.append("add_documents")
    if state in ("SAVED", "COMPLETED", "FAILED"):
        edits.archive(services.batches, batch_id, order)
        made.append("archive")
        with pytest.raises(NotFound):
            view(services, batch_id)
    rows = audit(services, batch_id)[-len(made) :]
    assert [row["trigger"] for row in rows] == made
    assert [row["version"] for row in rows] == [*range(version + 1, version + 1 + len(made))]
    assert {(row["kind"], row["from_state"], row["to_state"]) for row in rows} == {("edit", state, state)}
    assert {(row["actor"], row["request_id"], row["reason"]) for row in rows} == {("anna", "r-3", "typo")}


def test_a_change_that_is_rolled_back_leaves_no_row(services: Services) -> None:
    """Contract 1: one audit row for each change: both are written, or neither."""

    class Stop(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stop

    def create_and_stop() -> None:
        with services.batches.deciding(OPERATOR) as decision:
            decision.create({"name": "x"})
            stop()

    batch_id = create(services)
    before = stories.snapshot(services)
    for spoilt in ("stage", "reset"):
        with pytest.raises(Stop):
            services.batches.decide(batch_id, spoilt, Order("anna", "operator", record=stop))
    with pytest.raises(Stop):
        edits.rename(services.batches, batch_id, {"name": "x"}, Order("anna", "operator", record=stop))
    with pytest.raises(Stop):
        create_and_stop()
    with pytest.raises(Stop), transaction(services.engine):
        stop()
    assert stories.snapshot(services) == before


def test_the_audit_is_paged_and_outlives_the_batch(services: Services) -> None:
    """Contract 5: `/audit`, oldest first; the audit trail of an archived batch is kept."""
    batch_id = bring(services, "FAILED")
    edits.archive(services.batches, batch_id, OPERATOR)
    rows = audit(services, batch_id)
    paged, after = [], 0
    while page := services.reads.audit.page(batch_id, limit=2, after=after)[0]:
        assert len(page) <= 2
        paged += page
        after = page[-1]["version"]
    assert paged == rows
    assert rows[-1]["trigger"] == "archive"
    with pytest.raises(NotFound):
        services.reads.audit.page(4711)
