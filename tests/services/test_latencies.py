"""How long the calls of a run took, by model, read from a bounded number of its tasks."""

import pytest

from app.services import Services
from app.services.estimate import latencies
from app.services.estimate.latencies import Latency
from tests.services import stories

DOCUMENTS = 30


def answered(services: Services, amount: int = DOCUMENTS) -> int:
    """A batch of two models at work: the n-th call of the first took n ms, each of the second 1000 ms."""
    batch_id = stories.bring(services, "ANALYZING", documents=DOCUMENTS, models=2)
    tasks = stories.lease(services, batch_id)
    for of_model, took in (("m0", iter(range(1, amount + 1))), ("m1", iter([1_000] * amount))):
        for task, ms in zip([task for task in tasks if task["payload"]["model"] == of_model], took, strict=False):
            stories.complete(services, task, {"text": "an answer", "usage": {"latency_ms": ms}})
    return batch_id


def test_quantiles_by_model(services: Services) -> None:
    batch_id = answered(services)
    page = services.reads.batch_page
    assert page.present(batch_id).latencies is None, "a page that is opened does not wait for them"
    found = page.present_of(page.pulse(batch_id)).latencies
    assert found == {("local", "m0"): Latency(15, 29), ("local", "m1"): Latency(1_000, 1_000)}
    assert page.present(batch_id).latencies == found


def test_none_of_a_model_with_few_calls(services: Services) -> None:
    batch_id = answered(services, latencies.FEWEST - 1)
    page = services.reads.batch_page
    assert page.present_of(page.pulse(batch_id)).latencies == {}


def test_of_many_tasks_some_are_read(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latencies, "MOST_READ", 20)
    monkeypatch.setattr(latencies, "FEWEST", 3)
    batch_id = answered(services)
    page = services.reads.batch_page
    found = page.present_of(page.pulse(batch_id)).latencies
    assert found is not None
    assert found["local", "m1"] == Latency(1_000, 1_000)
    assert 5 <= found["local", "m0"].p50 <= 25


@pytest.mark.parametrize(("first", "last"), [(1, 1), (5, 2_004), (7, 2_007), (1, 1_000_000), (10, 5_003_211)])
def test_what_is_read_is_spread_evenly(first: int, last: int) -> None:
    chosen = latencies._spread(first, last)
    assert len(set(chosen)) == len(chosen) <= latencies.MOST_READ
    assert first <= min(chosen)
    assert max(chosen) <= last
    if last - first >= 100_000:
        middle = (first + last) / 2
        assert abs(sum(each < middle for each in chosen) / len(chosen) - 0.5) < 0.01
        assert {each % 10 for each in chosen} == set(range(10)), "no model of ten is left out"
