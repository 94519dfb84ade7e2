"""`run_when_staged`: the service runs a batch that is staged, as a change of the actor who staged it."""

from typing import Any

import pytest

from app.services import Services
from tests.services.stories import ask, audit, bring, create, finish_all, lease, state_of
from tests.services.stories import complete as done


def changes(services: Services, batch_id: int) -> list[tuple[str, str, Any]]:
    return [(row["trigger"], row["actor"], row["reason"]) for row in audit(services, batch_id)]


@pytest.mark.parametrize("action", ["stage", "restage"])
def test_it_runs_by_itself(services: Services, action: str) -> None:
    batch_id = create(services, documents=2) if action == "stage" else bring(services, "COMPLETED", documents=2)
    more = {"redo": {"status": ["COMPLETED"]}} if action == "restage" else {}
    ask(services, batch_id, action, reason="at once", run_when_staged=True, **more)
    for task in lease(services, batch_id):
        done(services, task)
    assert state_of(services, batch_id) == "ANALYZING"
    *_, staged, event, run = changes(services, batch_id)
    assert (staged[0], event[:2], run[0]) == (action, ("staging_completed", "system"), "run")
    assert run[1:] == staged[1:]
    assert run[2] == "at once"
    finish_all(services, batch_id)
    assert state_of(services, batch_id) == "COMPLETED"


def test_a_run_that_reuses_every_answer_ends_at_once(services: Services) -> None:
    batch_id = bring(services, "COMPLETED", documents=1)
    ask(services, batch_id, "restage", run_when_staged=True)
    for task in lease(services, batch_id):
        done(services, task)
    assert state_of(services, batch_id) == "COMPLETED"


def test_it_is_for_one_run_only(services: Services) -> None:
    batch_id = create(services)
    ask(services, batch_id, "stage", run_when_staged=True)
    finish_all(services, batch_id)
    ask(services, batch_id, "restage", redo={"status": ["COMPLETED"]})
    for task in lease(services, batch_id):
        done(services, task)
    assert state_of(services, batch_id) == "STAGED"


def test_it_is_true_or_false(services: Services) -> None:
    batch_id = create(services)
    answer = ask(services, batch_id, "stage", run_when_staged="yes")
    assert (answer["success"], answer["reason"]) == (False, "context.run_when_staged has to be true or false.")
    assert state_of(services, batch_id) == "SAVED"
