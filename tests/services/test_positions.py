"""A lease begins where the last one of its queue ended, and misses no task. See app/services/queue/positions.py."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from app.services import Services
from app.services.queue.positions import Positions, Reached
from tests.services.stories import bring, lease, let_waits_end, tasks_of

QUEUE = (1, 1, "ANALYZE", 1)
PLACE = datetime(2026, 1, 1, tzinfo=UTC), 7


def ids(tasks: list[dict[str, Any]]) -> list[str]:
    return sorted(task["id"] for task in tasks)


@pytest.fixture
def never_from_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin at the head only where a position gave less than was wanted."""
    monkeypatch.setattr("app.services.queue.positions.LEAST_SECONDS", 3_600)


@pytest.mark.usefixtures("never_from_the_head")
def test_a_task_that_comes_to_lie_before_the_position_is_leased_in_the_end(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=6)
    first = lease(services, batch_id, most=2)
    *_, last = sorted(
        (task for task in tasks_of(services, batch_id) if task["status"] == "QUEUED" and task["kind"] == "ANALYZE"),
        key=lambda task: int(task["id"]),
    )
    let_waits_end(services, [last])  # it is before all others now
    second = lease(services, batch_id, most=2)
    third = lease(services, batch_id, most=2)
    assert len({*ids(first), *ids(second), *ids(third)}) == 6
    assert last["id"] in ids(third) or not _is_postgresql(services)


@pytest.mark.usefixtures("never_from_the_head")
def test_a_lease_that_was_rolled_back_keeps_no_position(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=6)
    lease(services, batch_id, most=1)
    tried: list[dict[str, Any]] = []

    def fail(_: object, granted: Any) -> None:
        tried.extend(granted.tasks)
        raise LookupError

    with pytest.raises(LookupError):
        lease(services, batch_id, most=2, record=fail)
    assert ids(lease(services, batch_id, most=2)) == ids(tried)


@pytest.mark.usefixtures("never_from_the_head")
def test_what_an_answer_has_no_room_for_is_leased_next(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = bring(services, "ANALYZING", documents=4)
    monkeypatch.setattr("app.services.queue.grant.MOST_BYTES", 1)
    leased = [lease(services, batch_id, most=3) for _ in range(4)]
    assert [len(each) for each in leased] == [1, 1, 1, 1]


def test_from_time_to_time_a_lease_begins_at_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("app.services.queue.positions.time", SimpleNamespace(monotonic=lambda: now))
    positions = Positions()
    assert positions.of(QUEUE) is None
    positions.keep([Reached(QUEUE, PLACE, head_seconds=0.1)])  # it may take 2 % of the time
    now = 104.9
    assert positions.of(QUEUE) == PLACE
    later = PLACE[0], 8
    positions.keep([Reached(QUEUE, later, head_seconds=None)])
    assert positions.of(QUEUE) == later
    now = 105.1
    assert positions.of(QUEUE) is None


def test_positions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.queue.positions.MOST_QUEUES", 2)
    positions = Positions()
    queues = [(batch_id, 1, "ANALYZE", 1) for batch_id in (1, 2, 3)]
    positions.keep(Reached(queue, PLACE, head_seconds=0.0) for queue in queues)
    assert [positions.of(queue) for queue in queues] == [None, None, PLACE]


def _is_postgresql(services: Services) -> bool:
    return services.engine.dialect.name == "postgresql"
