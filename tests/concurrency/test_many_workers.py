"""Sixty-four workers on one batch: no deadlock, no fault, and counts that add up whenever somebody looks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import psycopg2
import pytest

from tests.concurrency.conftest import Call
from tests.concurrency.over_http import Caller, answered
from tests.support.server import LiveServer

WORKERS, TASKS = 64, 600


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """PostgreSQL alone: SQLite has one writer, so that nothing can deadlock."""
    return postgres_url


@pytest.fixture
def deadlocks(database_url: str) -> Iterator[Any]:
    """Count the deadlocks of this database; asked when its clients have gone, since they tell at their end."""
    connection = psycopg2.connect(database_url)
    connection.autocommit = True

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            return int(cursor.fetchone()[0])

    yield count
    connection.close()


def work(client: Caller, batch_id: int, number: int) -> int:
    """Lease and report until nothing is left, now singly and now together; return how many were done."""
    done = 0
    while tasks := client.lease(1 + number % 3, batch_id=batch_id, wait_seconds=1):
        if number % 2:
            for task in tasks:
                assert answered(client.complete(task))["status"] == "COMPLETED"
        else:
            reports = [{**report_of(task), "outcome": "completed", "result": {"text": "x"}} for task in tasks]
            told = answered(client.post("/tasks/report", {"reports": reports}))["reports"]
            assert [each["status"] for each in told] == [200] * len(tasks)
        done += len(tasks)
    return done


def report_of(task: dict[str, Any]) -> dict[str, str]:
    return {"task_id": task["id"], "lease_token": task["lease_token"]}


def look_on(client: Caller, batch_id: int, over: Event) -> int:
    """Read the progress again and again: no count may be wrong, nor go back. Returns how often it looked."""
    looks, completed = 0, 0
    while not over.is_set():
        batch = client.batch(batch_id)
        counts = batch["progress"]["analysis"]
        assert counts["queued"] + counts["leased"] + counts["completed"] + counts["failed"] == counts["total"] == TASKS
        assert min(counts.values()) >= 0
        assert counts["completed"] >= completed
        assert (batch["state"] == "COMPLETED") <= (counts["completed"] == TASKS)
        completed, looks = counts["completed"], looks + 1
    return looks


@pytest.mark.soak(rounds=5)
@pytest.mark.parametrize("live_server", [{"workers": 2, "THREADS": "40"}], indirect=True)
def test_sixty_four_workers(live_server: LiveServer, call: Call, deadlocks: Any) -> None:
    """Contract 5: whatever races, the state changes exactly once, and each task is given out once."""
    client = call(live_server)
    batch_id = client.analyzing(TASKS)
    clients = [call(live_server, "worker") for _ in range(WORKERS)]
    over = Event()
    with ThreadPoolExecutor(WORKERS + 1) as pool:
        looking = pool.submit(look_on, call(live_server), batch_id, over)
        try:
            done = list(pool.map(work, clients, [batch_id] * WORKERS, range(WORKERS)))
        finally:
            over.set()
        assert looking.result() > 3
    assert sum(done) == TASKS
    batch = client.batch(batch_id)
    assert (batch["state"], batch["version"]) == ("COMPLETED", 5)
    live_server.stop()
    assert deadlocks() == 0
