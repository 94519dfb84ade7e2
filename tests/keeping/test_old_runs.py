"""`keep_runs`: the newest runs keep their answers, older ones lose theirs, and no answer is paid for twice by it."""

from typing import Any

import pytest
from sqlalchemy import select

from app.db import reading
from app.models import Task
from app.services import Services
from app.services.input import edits
from app.services.upkeep import old_runs
from app.services.upkeep.deletions import Deletions
from tests.services import stories
from tests.services.stories import (
    OPERATOR,
    act,
    audit,
    complete,
    create,
    finish_all,
    lease,
    sweep_until_deleted,
    trail,
    view,
)
from tests.support.client import ApiClient


def run_once(services: Services, batch_id: int, **context: Any) -> None:
    act(services, batch_id, "restage" if view(services, batch_id)["run"] else "stage", **context)
    finish_all(services, batch_id)
    act(services, batch_id, "run")
    finish_all(services, batch_id)


def sweep(services: Services, batch_id: int) -> None:
    services.sweeper._deleted_at = -1e9
    sweep_until_deleted(services)


def answers(services: Services, batch_id: int) -> dict[int, int]:
    """How many results each run has, staged texts included."""
    with reading(services.engine) as connection:
        rows = connection.execute(select(Task.run, Task.result).where(Task.batch_id == batch_id)).all()
    found = dict.fromkeys((row.run for row in rows), 0)
    for row in rows:
        found[row.run] += row.result is not None
    return dict(sorted(found.items()))


def test_older_runs_lose_their_answers_and_keep_their_counts(services: Services, client: ApiClient) -> None:
    batch_id = create(services, documents=2, keep_runs=2)
    for _ in range(3):
        run_once(services, batch_id)
    before = [services.reads.tasks.counts(batch_id, run) for run in (1, 2, 3)]
    assert answers(services, batch_id) == {1: 4, 2: 4, 3: 4}
    sweep(services, batch_id)
    assert answers(services, batch_id) == {1: 0, 2: 4, 3: 4}
    assert [services.reads.tasks.counts(batch_id, run) for run in (1, 2, 3)] == before
    row = audit(services, batch_id)[-1]
    assert (row["trigger"], row["actor"]) == ("erase_runs", "system:purge")
    assert row["context"] == {"before_run": 2, "keep_runs": 2}
    old = client.get(f"/api/batches/{batch_id}/tasks?run=1").json["tasks"]
    assert {each["error"]["code"] for each in old} == {"erased"}
    assert client.get(f"/api/batches/{batch_id}/results?run=1").status_code == 200
    assert client.get(f"/api/batches/{batch_id}/report?run=1").status_code == 200
    services.sweeper._deleted_at = -1e9
    services.sweeper.sweep()
    assert trail(services, batch_id).count("erase_runs") == 1


def test_the_next_run_reuses_what_is_kept(services: Services) -> None:
    batch_id = create(services, documents=2, keep_runs=1)
    run_once(services, batch_id)
    run_once(services, batch_id)
    sweep(services, batch_id)
    assert answers(services, batch_id) == {1: 0, 2: 4}
    act(services, batch_id, "restage")
    finish_all(services, batch_id)
    act(services, batch_id, "run")
    assert view(services, batch_id)["progress"]["analysis"]["completed"] == 2  # without a call
    assert stories.state_of(services, batch_id) == "COMPLETED"


def test_without_the_option_all_are_kept(services: Services) -> None:
    batch_id = create(services)
    for _ in range(3):
        run_once(services, batch_id)
    sweep(services, batch_id)
    assert answers(services, batch_id) == {1: 4, 2: 4, 3: 4}


def test_a_run_that_failed_in_staging_takes_no_place(services: Services) -> None:
    """Otherwise one broken staging would delete every paid answer."""
    batch_id = create(services, documents=2, keep_runs=1)
    run_once(services, batch_id)
    act(services, batch_id, "restage")
    stories.fail(services, lease(services, batch_id)[0], retryable=False)
    assert stories.state_of(services, batch_id) == "FAILED"
    sweep(services, batch_id)
    assert answers(services, batch_id) == {1: 4, 2: 0}
    assert "erase_runs" not in trail(services, batch_id)


def stage_as_they_are(services: Services, batch_id: int) -> None:
    """Read each document as its own text: equal texts would be one question."""
    for task in lease(services, batch_id):
        complete(services, task, {"text": task["payload"]["text"]})


def test_an_answer_stays_while_the_kept_runs_have_none_to_its_question(services: Services) -> None:
    """A run that repeats all calls and is cancelled: what it had not answered is still reused from the run before."""
    batch_id = create(services, documents=2, keep_runs=1)
    for action in ("stage", "restage"):
        act(services, batch_id, action, reuse="none")
        stage_as_they_are(services, batch_id)
        act(services, batch_id, "run")
        if action == "stage":
            finish_all(services, batch_id)
    complete(services, lease(services, batch_id, most=1)[0], {"text": "anew"})
    act(services, batch_id, "cancel")
    sweep(services, batch_id)
    assert answers(services, batch_id) == {1: 1, 2: 3}
    act(services, batch_id, "restage")
    stage_as_they_are(services, batch_id)
    act(services, batch_id, "run")
    assert stories.state_of(services, batch_id) == "COMPLETED"  # without a call
    sweep(services, batch_id)
    assert answers(services, batch_id) == {1: 0, 2: 0, 3: 4}


def test_the_answer_of_a_replaced_document_goes(services: Services) -> None:
    batch_id = create(services, documents=1, keep_runs=1)
    run_once(services, batch_id)
    act(services, batch_id, "reset")
    with reading(services.engine) as connection:
        document_id = connection.execute(select(Task.document_id).where(Task.batch_id == batch_id)).scalars().first()
    edits.replace_document(services.batches, batch_id, document_id or 0, stories.document(text="new"), OPERATOR)
    act(services, batch_id, "stage")
    (task,) = lease(services, batch_id)
    complete(services, task, {"text": "new"})
    act(services, batch_id, "run")
    finish_all(services, batch_id)
    sweep(services, batch_id)
    assert answers(services, batch_id) == {1: 0, 2: 2}


def test_a_late_result_of_an_old_run_goes_and_a_later_one_keeps_nothing(services: Services) -> None:
    batch_id = create(services, documents=2, keep_runs=1)
    act(services, batch_id, "stage")
    finish_all(services, batch_id)
    act(services, batch_id, "run")
    one, other = lease(services, batch_id)
    act(services, batch_id, "cancel")
    with pytest.raises(Exception, match="FAILED"):
        complete(services, one)
    run_once(services, batch_id, reuse="none")
    sweep(services, batch_id)
    with pytest.raises(Exception, match="run"):
        complete(services, other)
    for leased in (one, other):
        (late,) = stories.task(services, leased["id"])["late_results"]
        assert (late["result"], late["outcome"]) == (None, "completed")


def test_answers_are_erased_while_the_batch_is_at_rest(services: Services) -> None:
    """A run that begins meanwhile may reuse them: the deletion waits for its end."""
    batch_id = create(services, documents=2, keep_runs=1)
    run_once(services, batch_id)
    run_once(services, batch_id)
    assert old_runs.due(services.engine) == [batch_id]
    assert old_runs.begin(services.batches, batch_id)
    act(services, batch_id, "restage")
    assert list(Deletions(services.engine).slices()) == []
    assert answers(services, batch_id)[1] == 4
    finish_all(services, batch_id)
    act(services, batch_id, "run")
    sweep(services, batch_id)
    assert answers(services, batch_id) == {1: 0, 2: 0, 3: 4}


@pytest.mark.parametrize("keep_runs", [0, -1, 2**31, 1.5, "2", True])
def test_what_it_may_be(client: ApiClient, keep_runs: Any) -> None:
    refused = client.post("/api/batches", json={"name": "b", "options": {"keep_runs": keep_runs}})
    assert refused.status_code == 422
    assert "keep_runs" in str(refused.json["errors"])
