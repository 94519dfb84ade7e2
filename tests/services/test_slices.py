"""Batches larger than a slice: `stage` answers after the first slice, and the sweeper writes the others once."""

from collections import Counter
from collections.abc import Callable

import pytest

from app.models import Task
from app.services import Services
from app.services.task import run_tasks
from tests.services import stories
from tests.services.stories import act, create, lease, trail, view

SLICE = 3


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_tasks, "SLICE", SLICE)


Make = Callable[[Services, int], int]


def of_documents(services: Services, amount: int) -> int:
    return create(services, documents=amount)


def of_ready_tasks(services: Services, amount: int) -> int:
    return stories.create_ready(services, amount)


def written(services: Services, batch_id: int) -> int:
    """Count the first tasks of the present run; each is of another document or line."""
    run = view(services, batch_id)["run"]
    rows = [row for row in stories.rows_of(services, Task) if (row.batch_id, row.run) == (batch_id, run)]
    of = Counter(row.document_id or row.ready_number for row in rows)
    assert set(of.values()) <= {1}
    return len(rows)


@pytest.mark.parametrize("amount", [1, SLICE - 1, SLICE, SLICE + 1, 3 * SLICE, 3 * SLICE + 1])
@pytest.mark.parametrize("make", [of_documents, of_ready_tasks], ids=lambda make: make.__name__)
def test_the_sweeper_writes_the_slices_that_stage_did_not(services: Services, make: Make, amount: int) -> None:
    """Contract 2: `stage` may write rows in slices after it has answered."""
    batch_id = make(services, amount)
    act(services, batch_id, "stage")
    assert written(services, batch_id) == min(amount, SLICE)
    services.sweeper.sweep()
    assert written(services, batch_id) == amount
    services.sweeper.sweep()
    assert written(services, batch_id) == amount
    stories.finish_all(services, batch_id)
    act(services, batch_id, "run")
    stories.finish_all(services, batch_id)
    assert view(services, batch_id)["progress"]["analysis"]["completed"] == amount
    assert view(services, batch_id)["state"] == "COMPLETED"


@pytest.mark.parametrize("make", [of_documents, of_ready_tasks], ids=lambda make: make.__name__)
def test_a_process_that_dies_between_slices_loses_no_task_and_writes_none_twice(
    services: Services, another: Callable[[], Services], make: Make
) -> None:
    """Contract 2: another process goes on where the first one stopped."""
    batch_id = make(services, 3 * SLICE + 1)
    act(services, batch_id, "stage")
    processes = [another(), another(), another(), another()]
    assert [process.batches.write_tasks(batch_id) for process in processes] == [SLICE, SLICE, 1, 0]
    assert written(services, batch_id) == 3 * SLICE + 1


def test_a_slice_that_dies_is_written_again(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract 2 and 4: a slice and its counts are written together or not at all."""
    batch_id = of_documents(services, SLICE + 1)
    act(services, batch_id, "stage")
    with monkeypatch.context() as patched:
        patched.setattr("app.services.task.task_counts.CountChanges.write", _die)
        with pytest.raises(KeyboardInterrupt):
            services.batches.write_tasks(batch_id)
    assert written(services, batch_id) == SLICE
    assert services.batches.write_tasks(batch_id) == 1


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_batch_is_not_staged_before_all_is_written(services: Services) -> None:
    """Contract 2: `staging_completed` needs every staging task, also those that are not written yet."""
    batch_id = of_documents(services, 2 * SLICE)
    act(services, batch_id, "stage")
    stories.finish_all(services, batch_id)
    assert view(services, batch_id)["state"] == "STAGING"
    assert view(services, batch_id)["progress"]["staging"] == {
        "total": SLICE,
        "completed": SLICE,
        "failed": 0,
        "skipped": 0,
    }
    services.sweeper.sweep()
    assert len(lease(services, batch_id)) == SLICE


def test_ready_made_tasks_are_staged_by_the_last_slice(services: Services) -> None:
    batch_id = of_ready_tasks(services, 2 * SLICE)
    assert act(services, batch_id, "stage")["batch"]["state"] == "STAGING"
    assert lease(services, batch_id) == []  # a STAGING batch leases tasks of another kind
    services.sweeper.sweep()
    assert trail(services, batch_id) == ["create", "stage", "staging_completed"]
    assert view(services, batch_id)["progress"]["analysis"]["queued"] == 2 * SLICE


def test_nothing_is_written_for_a_batch_that_failed_meanwhile(services: Services) -> None:
    batch_id = of_documents(services, 2 * SLICE)
    act(services, batch_id, "stage")
    stories.fail(services, lease(services, batch_id)[0], retryable=False)
    services.sweeper.sweep()
    assert services.batches.write_tasks(batch_id) == 0
    assert written(services, batch_id) == SLICE


def test_a_restage_begins_its_slices_again(services: Services) -> None:
    """Contract 2: a run that failed in the middle leaves nothing to the next one."""
    batch_id = of_documents(services, 2 * SLICE)
    act(services, batch_id, "stage")
    stories.fail(services, lease(services, batch_id)[0], retryable=False)
    act(services, batch_id, "restage")
    assert written(services, batch_id) == SLICE
    services.sweeper.sweep()
    assert written(services, batch_id) == 2 * SLICE
