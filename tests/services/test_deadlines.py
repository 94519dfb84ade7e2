"""A batch that is not finished at its deadline fails with `expired`; a pause moves the deadline (contract 2)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.errors import Invalid
from app.services import Services
from app.services.input import edits
from app.services.upkeep.verify import verify
from tests.services.stories import (
    OPERATOR,
    act,
    audit,
    bring,
    complete,
    create,
    create_ready,
    finish_all,
    lease,
    lease_one,
    set_deadline,
    state_of,
    tasks_of,
    trail,
    view,
)
from tests.support.waiting import wait_until

PAST = "2026-01-01T00:00:00Z"


def hence(services: Services, seconds: float) -> datetime:
    return services.clock.read() + timedelta(seconds=seconds)


def let_it_pass(services: Services, batch_id: int) -> datetime:
    """Move the deadline of a batch into the past; return it."""
    at = hence(services, -1)
    set_deadline(services, batch_id, at)
    return at


def deadline(services: Services, batch_id: int) -> datetime:
    return datetime.fromisoformat(view(services, batch_id)["options"]["deadline_at"])


def swept(services: Services, batch_id: int) -> dict[str, Any]:
    """Sweep until the batch is FAILED."""

    def failed() -> dict[str, Any] | None:
        services.sweeper.sweep()
        shown = view(services, batch_id)
        return shown if shown["state"] == "FAILED" else None

    found = wait_until(failed, "the batch to expire")
    assert found is not None
    return found


def test_a_run_expires(services: Services) -> None:
    at = hence(services, 3600)
    batch_id = bring(services, "ANALYZING", documents=2, deadline_at=at)
    assert deadline(services, batch_id) == at
    complete(services, lease_one(services, batch_id))
    held = lease_one(services, batch_id)
    at = let_it_pass(services, batch_id)
    assert state_of(services, batch_id) == "ANALYZING"
    services.sweeper.sweep()
    shown = view(services, batch_id)
    assert (shown["state"], shown["failure"]["code"]) == ("FAILED", "expired")
    last = audit(services, batch_id)[-1]
    assert (last["trigger"], last["actor"], last["context"]) == ("critical_error", "system", {"failure": "expired"})
    assert datetime.fromisoformat(last["at"]) >= at
    assert [each["status"] for each in tasks_of(services, batch_id)].count("COMPLETED") == 3  # two were staged
    assert not services.queue.heartbeat([(held["id"], held["lease_token"])])[0]["ok"]
    assert list(verify(services.engine)) == []


def test_staging_expires_while_documents_are_open(services: Services) -> None:
    batch_id = bring(services, "STAGING", deadline_at=hence(services, 3600))
    let_it_pass(services, batch_id)
    services.sweeper.sweep()
    assert view(services, batch_id)["failure"]["code"] == "expired"
    assert trail(services, batch_id)[-1] == "staging_failed"


def test_a_finished_run_is_completed_however_late(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=1, deadline_at=hence(services, 3600))
    let_it_pass(services, batch_id)
    finish_all(services, batch_id)
    assert state_of(services, batch_id) == "COMPLETED"


@pytest.mark.parametrize("ready", [False, True])
def test_a_deadline_that_passed_before_the_run_ends_it_before_a_lease(services: Services, ready: bool) -> None:
    batch_id = create_ready(services) if ready else create(services)
    act(services, batch_id, "stage")
    if not ready:
        finish_all(services, batch_id)
    answer = act(services, batch_id, "run", deadline_at=PAST)
    assert answer["new_state"] == "ANALYZING"
    assert (answer["batch"]["state"], answer["batch"]["failure"]["code"]) == ("FAILED", "expired")
    assert lease(services, batch_id) == []


def test_a_pause_moves_the_deadline(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=1, deadline_at=hence(services, 3600))
    act(services, batch_id, "pause")
    paused_at = datetime.fromisoformat(view(services, batch_id)["updated_at"])
    first = paused_at + timedelta(milliseconds=1)
    set_deadline(services, batch_id, first)
    wait_until(lambda: services.clock.read() > first, "the time of the deadline")
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "PAUSED"
    assert deadline(services, batch_id) > first
    act(services, batch_id, "resume")
    resumed_at = datetime.fromisoformat(view(services, batch_id)["updated_at"])
    assert deadline(services, batch_id) == first + (resumed_at - paused_at)
    assert state_of(services, batch_id) == "ANALYZING"
    assert swept(services, batch_id)["failure"]["code"] == "expired"


def test_a_rename_while_paused_moves_nothing(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=1, deadline_at=hence(services, 3600))
    first = deadline(services, batch_id)
    act(services, batch_id, "pause")
    edits.rename(services.batches, batch_id, {"name": "another"}, OPERATOR)
    act(services, batch_id, "resume")
    at = {row["trigger"]: datetime.fromisoformat(row["at"]) for row in audit(services, batch_id)}
    assert deadline(services, batch_id) == first + (at["resume"] - at["pause"])


def test_the_context_of_resume_sets_another(services: Services) -> None:
    batch_id = bring(services, "PAUSED", documents=1, deadline_at=hence(services, 3600))
    act(services, batch_id, "resume", deadline_at="2099-01-01T01:00:00+01:00")
    assert deadline(services, batch_id) == datetime(2099, 1, 1, tzinfo=UTC)
    act(services, batch_id, "pause")
    act(services, batch_id, "resume", deadline_at=None)
    assert view(services, batch_id)["options"]["deadline_at"] is None


def test_a_new_run_has_no_deadline_that_is_over(services: Services) -> None:
    batch_id = bring(services, "STAGED", documents=1)
    act(services, batch_id, "run", deadline_at=PAST)
    act(services, batch_id, "restage")
    finish_all(services, batch_id)
    assert view(services, batch_id)["options"]["deadline_at"] is None
    act(services, batch_id, "run", deadline_at="2099-01-01T00:00:00Z")
    act(services, batch_id, "cancel")
    act(services, batch_id, "restage")
    assert deadline(services, batch_id).year == 2099


def test_a_new_batch_has_its_deadline_ahead(services: Services) -> None:
    with pytest.raises(Invalid) as refused:
        create(services, deadline_at=hence(services, -1))
    assert refused.value.facts["errors"] == {"options": {"deadline_at": ["is in the past"]}}
