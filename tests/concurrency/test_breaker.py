"""Eight workers report while a limit is crossed: one pause, no lease after it, and no more overshot than it says."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.services import Services
from tests.concurrency import stories
from tests.concurrency.processes import meeting, race, services_on

PROCESSES, THREADS, TASKS, LIMIT, HELD = 2, 4, 400, 60, 3
ANSWER = {"text": "an answer", "usage": {"input_tokens": 9, "output_tokens": 1, "cost": 1, "latency_ms": 5}}


def work_on(database_url: str, batch_id: int) -> int:
    """Lease and report with many workers, each until it finds nothing to lease; return the calls that were made."""
    services = services_on(database_url)

    def work(_: int) -> int:
        calls = 0
        while leased := stories.lease(services, batch_id, HELD):
            for task in leased:
                stories.complete(services, task, ANSWER)
            calls += len(leased)
        return calls

    meeting().barrier.wait()
    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(work, range(THREADS)))


@pytest.mark.parametrize("limit", [{"max_cost": LIMIT}, {"max_tokens": 10 * LIMIT}], ids=str)
def test_one_pause_and_no_lease_after_it(services: Services, database_url: str, limit: dict[str, int]) -> None:
    batch_id = stories.analyzing(services, TASKS)
    stories.act(services, batch_id, "pause")
    stories.act(services, batch_id, "resume", **limit)

    calls = sum(race(work_on, [(database_url, batch_id)] * PROCESSES))

    (pause,) = [row for row in services.reads.audit.page(batch_id)[0] if row["actor"] == "system:breaker"]
    assert (pause["trigger"], pause["to_state"]) == ("pause", "PAUSED")
    said = pause["context"]
    unit = 10 if said["limit"] == "max_tokens" else 1
    batch = services.reads.batches.show(batch_id)
    assert (batch["state"], batch["version"]) == ("PAUSED", pause["version"])
    assert calls == batch["usage"]["cost"] == batch["progress"]["analysis"]["completed"] >= LIMIT
    assert batch["usage"]["by_model"][0]["calls"] == calls
    # What had been used and what was in flight is all that ever was: nothing was leased after the pause.
    assert calls == said["used"] / unit + said["leases_in_flight"]
    assert said["used"] / unit >= LIMIT
    assert said["leases_in_flight"] <= PROCESSES * THREADS * HELD
    assert stories.lease(services, batch_id) == []
