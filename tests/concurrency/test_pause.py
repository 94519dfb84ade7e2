"""Fifty lease at once, and the batch is paused: nobody leases after the pause, and work in flight still counts."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from app import db
from app.domain.leases import TaskStatus
from app.models import Task
from app.services import Services
from tests.concurrency import stories
from tests.concurrency.processes import Meeting, meeting, race, services_on
from tests.support.waiting import wait_until

PROCESSES, THREADS, TASKS, CALLS_AFTER = 2, 25, 3_000, 3
Lease = tuple[float, str, str]  # when it was asked for, task, token


def lease_on(database_url: str, batch_id: int) -> list[Lease]:
    """Lease one by one with many threads, each until it has called some times more after the pause."""
    services, paused = services_on(database_url), meeting().event

    def lease(_: int) -> list[Lease]:
        leased, calls_after = [], 0
        while calls_after < CALLS_AFTER:
            calls_after += paused.is_set()
            asked_at = time.monotonic()
            leased += [
                (asked_at, task["id"], task["lease_token"])
                for task in services.queue.lease("w", batch_id=batch_id).tasks
            ]
        return leased

    meeting().barrier.wait()
    with ThreadPoolExecutor(THREADS) as pool:
        return [lease for leased in pool.map(lease, range(THREADS)) for lease in leased]


def leased_now(services: Services, batch_id: int) -> int:
    with db.reading(services.engine) as connection:
        leased = select(func.count()).where(Task.batch_id == batch_id, Task.status == TaskStatus.LEASED)
        return int(connection.execute(leased).scalar_one())


@pytest.mark.soak(rounds=8)
def test_nobody_leases_after_the_pause(services: Services, database_url: str) -> None:
    """Contract 5: only tasks of an ANALYZING batch are leased; those in flight may finish in PAUSED."""
    batch_id = stories.analyzing(services, TASKS)
    seen: dict[str, Any] = {}

    def pause(shared: Meeting) -> None:
        shared.barrier.wait()
        wait_until(lambda: leased_now(services, batch_id) >= 50, "the first leases")
        try:
            wait_until(lambda: asked_to_pause(services, batch_id), "the pause")
            seen["answered_at"], seen["leased"] = time.monotonic(), leased_now(services, batch_id)
        finally:
            shared.event.set()

    told = race(lease_on, [(database_url, batch_id)] * PROCESSES, pause)

    leases = [lease for each in told for lease in each]
    assert 50 <= len(leases) < TASKS  # they were at it when the pause came, and there was more to lease
    assert len({task for _, task, _ in leases}) == len(leases)  # none twice
    assert seen["leased"] == len(leases) == leased_now(services, batch_id)  # no lease was committed after the pause
    assert all(asked_at < seen["answered_at"] for asked_at, _, _ in leases)
    assert services.reads.audit.page(batch_id)[0][-1]["trigger"] == "pause"

    for _, task, token in leases[:20]:  # in flight: they count
        stories.complete(services, {"id": task, "lease_token": token})
    batch = services.reads.batches.show(batch_id)
    assert (batch["state"], batch["progress"]["analysis"]["completed"]) == ("PAUSED", 20)
    assert stories.lease(services, batch_id) == []
    stories.act(services, batch_id, "resume")
    assert stories.lease(services, batch_id, 1) != []


def asked_to_pause(services: Services, batch_id: int) -> bool:
    """Ask until it is done: on a busy machine the request may have to wait in line first."""
    services.batches.request_state_change(batch_id, "pause", {"actor": "an operator"})
    return stories.state_of(services, batch_id) == "PAUSED"


@pytest.mark.soak(rounds=8)
def test_the_last_tasks_end_while_paused(
    services: Services, database_url: str, another: Callable[[str], Services]
) -> None:
    """Contract 2: a batch whose last task finishes while PAUSED stays so; resume makes it COMPLETED: two changes."""
    batch_id = stories.analyzing(services, 2)
    tasks = stories.lease(services, batch_id)
    stories.act(services, batch_id, "pause")
    with ThreadPoolExecutor(2) as pool:
        for report in [pool.submit(stories.complete, another(database_url), task) for task in tasks]:
            report.result()
    services.sweeper.sweep()
    assert stories.state_of(services, batch_id) == "PAUSED"
    answer = stories.act(services, batch_id, "resume")
    assert (answer["new_state"], answer["batch"]["state"]) == ("ANALYZING", "COMPLETED")
    assert stories.trail(services, batch_id)[4:] == ["pause", "resume", "tasks_finished"]
