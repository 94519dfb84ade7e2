"""What workers report can neither overflow a sum nor stop the sweeper."""

from typing import Any

import pytest
from sqlalchemy import text

from app.domain.usage import MOST_COUNTED
from app.services import Services
from app.services.task.task_counts import SHARDS
from app.services.upkeep.verify import verify
from tests.services.stories import bring, complete, lease, state_of
from tests.support.client import ApiClient

FULL = 2**63 - 1_000


def fill_counters(services: Services, batch_id: int) -> None:
    """Let the counters of a batch be as if workers had reported costs for years."""
    with services.engine.begin() as connection:
        for table, where in (("task_counts", "kind = 'ANALYZE' AND completed > 0"), ("usage_counts", "attempts > 0")):
            full = f"UPDATE {table} SET cost_nanos = {FULL} WHERE batch_id = {batch_id} AND {where}"
            assert connection.execute(text(full)).rowcount == 1


def test_costs_stop_at_a_bound(services: Services, client: ApiClient) -> None:
    batch_id = bring(services, "ANALYZING", documents=3)
    first, *others = lease(services, batch_id)
    usage = {"usage": {"cost": 999}}
    complete(services, first, {"text": "x", **usage})
    fill_counters(services, batch_id)
    for task in others:
        complete(services, task, {"text": "x", **usage})
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "COMPLETED"
    shown = client.get(f"/api/batches/{batch_id}").json["usage"]["cost"]
    assert shown == MOST_COUNTED / 1e9
    for path in ("/api/batches", f"/api/batches/{batch_id}/report", "/api/batches?state=COMPLETED"):
        assert client.get(path).status_code == 200
    assert list(verify(services.engine)) == []  # a counter that has stopped is not taken for a wrong one


def test_the_sum_of_full_shards_fits() -> None:
    assert SHARDS * MOST_COUNTED < 2**63


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_bad_batch_does_not_stop_the_sweeper(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = bring(services, "STAGING"), bring(services, "STAGING")  # the newest one comes first
    with services.engine.begin() as connection:  # their tasks have ended, and no event was raised
        connection.execute(text("UPDATE tasks SET status = 'FAILED', finished_at = available_at"))
        connection.execute(text("UPDATE task_counts SET failed = queued, queued = 0"))
    settle = services.batches.settle

    def fails_for_one(batch_id: int) -> Any:
        if batch_id == bad:
            raise OverflowError("out of range")
        return settle(batch_id)

    monkeypatch.setattr(services.batches, "settle", fails_for_one)
    services.sweeper.sweep()
    assert (state_of(services, bad), state_of(services, good)) == ("STAGING", "FAILED")
