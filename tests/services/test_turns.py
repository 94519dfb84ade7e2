"""Batches take turns: a small batch does not wait for a large one, and priority is a weight."""

from collections import Counter

import pytest

from app.services import Services
from app.services.queue.known_work import CANDIDATES_SECONDS
from app.services.queue.task_queue import MOST_BATCHES
from tests.services import stories
from tests.services.stories import bring, lease


@pytest.fixture(autouse=True)
def _fresh_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read which batches have work at every lease: a list that is renewed by the clock makes turns random."""
    assert CANDIDATES_SECONDS > 0
    monkeypatch.setattr("app.services.queue.known_work.CANDIDATES_SECONDS", 0.0)


def big(services: Services, tasks: int = 60, priority: int = 0) -> int:
    """Create an ANALYZING batch of many tasks."""
    return bring(services, "ANALYZING", documents=tasks // 10, prompts=10, priority=priority)


def leased_of(services: Services, leases: int, most: int = 1) -> Counter[int]:
    return Counter(each["batch_id"] for _ in range(leases) for each in lease(services, most=most))


def test_two_batches_take_turns(services: Services) -> None:
    """Contract 5: one lease each."""
    first, second = big(services), big(services)
    assert leased_of(services, 20) == {first: 10, second: 10}


def test_a_small_batch_does_not_wait_for_a_big_one(services: Services) -> None:
    """Contract 5: a batch of ten tasks does not wait for a batch of a million."""
    big(services)
    leased_of(services, 10)
    small = bring(services, "ANALYZING", documents=3)
    assert leased_of(services, 8)[small] == 3


def test_one_lease_of_many_is_shared_out(services: Services) -> None:
    first, second = big(services), big(services)
    assert leased_of(services, 1, most=20) == {first: 10, second: 10}
    assert sum(leased_of(services, 1, most=1000).values()) == 100


@pytest.mark.parametrize("priority", [1, 3, 9])
def test_priority_weighs(services: Services, priority: int) -> None:
    """Contract 5: p + 1 leases to one of priority 0, and no batch starves."""
    low, high = big(services), big(services, priority=priority)
    assert leased_of(services, 2 * (priority + 2)) == {low: 2, high: 2 * (priority + 1)}


def test_a_share_that_one_batch_cannot_use_goes_to_others(services: Services) -> None:
    small, other = bring(services, "ANALYZING", documents=1), big(services)
    assert leased_of(services, 1, most=30) == {small: 1, other: 29}


def test_more_batches_than_one_lease_takes_from(services: Services) -> None:
    """Contract 5: each batch gets its turn."""
    all_of_them = [bring(services, "ANALYZING", documents=2) for _ in range(MOST_BATCHES + 3)]
    assert set(leased_of(services, len(all_of_them))) == set(all_of_them)
    assert sum(leased_of(services, 1, most=1000).values()) == len(all_of_them)


def test_a_worker_may_lease_from_one_batch(services: Services) -> None:
    """Contract 5: `batch_id`."""
    _, wanted = big(services), bring(services, "ANALYZING", documents=2)
    leased = stories.lease(services, wanted)
    assert [each["batch_id"] for each in leased] == [wanted] * 2
    assert stories.lease(services, wanted) == []
    assert stories.lease(services, 4711) == []
