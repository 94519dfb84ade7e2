"""A cancelled run stays cancelled, whatever is reported afterwards, and nothing that was paid for is thrown away."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.concurrency.conftest import Call
from tests.concurrency.over_http import answered
from tests.support.server import Shared
from tests.support.waiting import LIMIT_SECONDS

WORKERS, TASKS_EACH = 8, 12


@pytest.mark.soak(rounds=50)
def test_all_leases_reported_after_the_cancel(shared: Shared, call: Call) -> None:
    """Contract 5: a report of a batch that is FAILED is 409 and changes nothing; its result is kept."""
    client = call(shared.server)
    batch_id = client.analyzing(6)
    tasks = client.lease(5, batch_id=batch_id)
    client.act(batch_id, "cancel")
    with ThreadPoolExecutor(len(tasks)) as pool:
        answers = list(
            pool.map(lambda pair: pair[0].complete(pair[1]), [(call(shared.server), task) for task in tasks])
        )
    assert {answer.status_code for answer in answers} == {409}
    assert all(answer.json()["late_result_kept"] for answer in answers)
    batch = client.batch(batch_id)
    assert (batch["state"], batch["failure"]["code"], batch["version"]) == ("FAILED", "cancelled", 5)
    for task in tasks:
        shown = client.get(f"/tasks/{task['id']}")
        assert [late["result"] for late in shown["late_results"]] == [{"text": "an answer"}]
        assert (shown["status"], shown["result"]) == ("LEASED", None)


@pytest.mark.soak(rounds=50)
def test_a_cancel_among_reports(shared: Shared, call: Call) -> None:
    """Contract 4: a report counts or comes too late, nothing between; the batch is FAILED either way."""
    client = call(shared.server)
    batch_id = client.analyzing(WORKERS * TASKS_EACH)
    tasks = client.lease(WORKERS * TASKS_EACH - 1, batch_id=batch_id)  # one stays open: it cannot complete
    barrier = Barrier(WORKERS + 1, timeout=LIMIT_SECONDS)

    def report(worker: int) -> list[tuple[str, int]]:
        mine = call(shared.server)
        barrier.wait()
        return [(task["id"], mine.complete(task).status_code) for task in tasks[worker::WORKERS]]

    with ThreadPoolExecutor(WORKERS) as pool:
        reporting = [pool.submit(report, worker) for worker in range(WORKERS)]
        barrier.wait()
        asked = client.ask(batch_id, "cancel")
        told = dict(pair for each in reporting for pair in each.result())
    assert len(client.versions_won([asked])) == 1
    assert set(told.values()) <= {200, 409}
    batch = client.batch(batch_id)
    assert (batch["state"], batch["failure"]["code"]) == ("FAILED", "cancelled")
    assert batch["progress"]["analysis"]["completed"] == list(told.values()).count(200)
    for task_id, status in told.items():
        shown = client.get(f"/tasks/{task_id}")
        assert (shown["result"] is not None, len(shown["late_results"])) == (status == 200, int(status == 409))
    again = answered(client.ask(batch_id, "cancel"), 409)  # the same action again: refused, with the reason
    assert (again["current_state"], again["success"]) == ("FAILED", False)
