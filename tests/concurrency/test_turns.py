"""Batches take turns: one of twenty thousand tasks does not make one of ten wait."""

from app.services import Services
from tests.concurrency import stories
from tests.support.waiting import wait_until

BIG, SMALL = 20_000, 10


def test_ten_tasks_do_not_wait_for_twenty_thousand(services: Services) -> None:
    """Contract 5: batches take turns, p + 1 leases to one."""
    big = stories.analyzing(services, BIG)
    assert len(services.queue.lease("w", max_tasks=500).tasks) == 500  # it has been alone, and has no debt for that
    small = stories.analyzing(services, SMALL)

    first = wait_until(
        lambda: small in [task["batch_id"] for task in services.queue.lease("w", max_tasks=2).tasks], "its turn"
    )
    assert first
    leased = [task["batch_id"] for _ in range(SMALL - 1) for task in services.queue.lease("w", max_tasks=2).tasks]
    assert leased.count(small) == leased.count(big) == SMALL - 1
    assert {task["batch_id"] for task in services.queue.lease("w", max_tasks=4).tasks} == {big}


def test_one_lease_for_many_is_shared(services: Services) -> None:
    """Contract 5: a worker that leases in bulk gets from both, and the small batch is served by its first call."""
    big, small = stories.analyzing(services, 1_500), stories.analyzing(services, SMALL)
    leased = [task["batch_id"] for task in services.queue.lease("w", max_tasks=100).tasks]
    assert (leased.count(small), leased.count(big)) == (SMALL, 100 - SMALL)
