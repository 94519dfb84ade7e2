"""The writer of what happens to a leased task: its row and its count move together, or neither does."""

import pytest
from sqlalchemy import update
from sqlalchemy.exc import DataError

from app.db import transaction
from app.domain.leases import TaskStatus
from app.domain.task_endings import LeaseEvent
from app.models import Task
from app.services import Services
from app.services.task import task_rows
from app.services.task.endings import Endings
from app.services.task.task_counts import counts_of
from tests.services.stories import bring, lease, rows_of, snapshot

NOT_AS_READ = r"^1 tasks were changed|division by zero"


@pytest.mark.parametrize("event", LeaseEvent)
def test_the_row_and_its_count_move_together(services: Services, event: LeaseEvent) -> None:
    batch_id = bring(services, "ANALYZING", documents=3)
    ids = [int(each["id"]) for each in lease(services, batch_id, most=2)]
    with transaction(services.engine) as connection:
        held, now = task_rows.hold(connection, ids)
        endings = Endings(now)
        given = {endings.end(task, event) for task in held.values()}
        endings.write(connection)
    statuses = [row.status for row in rows_of(services, Task) if row.kind == "ANALYZE"]
    assert {row.status for row in rows_of(services, Task) if row.id in ids} == given
    with services.engine.connect() as connection:
        counted = counts_of(connection, batch_id, 1)["ANALYZE"]
    assert counted == {status: statuses.count(status) for status in TaskStatus}


@pytest.mark.parametrize("changed", [{"status": "QUEUED"}, {"lease_token": "x.1.1"}, {"lease_token": None}], ids=str)
def test_a_task_that_is_not_as_it_was_read_is_not_written(services: Services, changed: dict[str, str | None]) -> None:
    """The write expects the status and token that were read under the lock; nothing of the transaction stays.

    It goes along with COMMIT on PostgreSQL, and fails there.
    """
    batch_id = bring(services, "ANALYZING", documents=3)
    ids = [int(each["id"]) for each in lease(services, batch_id)]
    before = snapshot(services)
    with pytest.raises((RuntimeError, DataError), match=NOT_AS_READ):
        complete_though_changed(services, ids, changed)
    assert snapshot(services) == before


@pytest.mark.parametrize("changed", [{"status": "QUEUED"}, {"lease_token": "x.1.1"}, {"lease_token": None}], ids=str)
def test_a_single_task_that_is_not_as_it_was_read_is_not_written(
    services: Services, changed: dict[str, str | None]
) -> None:
    """Its statement is another one."""
    batch_id = bring(services, "ANALYZING", documents=3)
    ids = [int(each["id"]) for each in lease(services, batch_id, most=1)]
    before = snapshot(services)
    with pytest.raises((RuntimeError, DataError), match=NOT_AS_READ):
        complete_though_changed(services, ids, changed)
    assert snapshot(services) == before


def complete_though_changed(services: Services, ids: list[int], changed: dict[str, str | None]) -> None:
    """Complete tasks of which the last one is changed between the read and the write."""
    with transaction(services.engine) as connection:
        held, now = task_rows.hold(connection, ids)
        endings = Endings(now)
        for task in held.values():
            endings.end(task, LeaseEvent.COMPLETED)
        connection.execute(update(Task).where(Task.id == ids[-1]).values(**changed))
        endings.write(connection)


def test_several_events_of_one_task_in_one_transaction(services: Services) -> None:
    """The write expects what the database has, not what an earlier event of the same transaction gave."""
    batch_id = bring(services, "ANALYZING", documents=1)
    (leased,) = lease(services, batch_id)
    with transaction(services.engine) as connection:
        held, now = task_rows.hold(connection, [int(leased["id"])])
        endings = Endings(now)
        for event in (LeaseEvent.RENEWED, LeaseEvent.RENEWED, LeaseEvent.COMPLETED):
            endings.end(held[int(leased["id"])], event)
        endings.write(connection)
    with services.engine.connect() as connection:
        assert counts_of(connection, batch_id, 1)["ANALYZE"] == {"QUEUED": 0, "LEASED": 0, "COMPLETED": 1, "FAILED": 0}
