"""Batches take turns by weight, none starves, and coming late or coming back gains nothing."""

from collections import Counter
from collections.abc import Mapping
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.turns import Turns, weight
from tests.support.waiting import LIMIT_SECONDS

CANDIDATES = st.dictionaries(st.integers(1, 99), st.integers(0, 9), min_size=1, max_size=8)


def lease(turns: Turns, candidates: Mapping[int, int], amount: int = 1) -> list[tuple[int, int]]:
    """Share and grant all of it, as the queue does while every candidate has tasks enough."""
    shares = turns.share(candidates, amount)
    for batch_id, quota in shares:
        turns.charge(batch_id, quota)
    return shares


def leases(turns: Turns, candidates: Mapping[int, int], calls: int, amount: int = 1) -> Counter[int]:
    granted: Counter[int] = Counter()
    for _ in range(calls):
        granted.update(dict(lease(turns, candidates, amount)))
    return granted


def test_weights() -> None:
    assert [weight(priority) for priority in (0, 1, 9)] == [1, 2, 10]


def test_one_candidate_gets_all() -> None:
    assert Turns().share({7: 0}, 100) == [(7, 100)]


def test_two_equal_candidates_share_in_half() -> None:
    assert Turns().share({7: 0, 8: 0}, 100) == [(7, 50), (8, 50)]


def test_priority_weighs() -> None:
    assert dict(Turns().share({1: 0, 2: 9}, 110)) == {1: 10, 2: 100}


def test_single_leases_alternate() -> None:
    turns = Turns()
    assert [lease(turns, {1: 0, 2: 0})[0][0] for _ in range(6)] == [1, 2, 1, 2, 1, 2]


@pytest.mark.parametrize(("candidates", "amount"), [({}, 5), ({1: 0}, 0), ({1: 0}, -1)])
def test_nothing_to_share(candidates: dict[int, int], amount: int) -> None:
    assert Turns().share(candidates, amount) == []


def test_sharing_alone_charges_nothing() -> None:
    turns = Turns()
    assert turns.share({1: 0, 2: 0}, 1) == turns.share({1: 0, 2: 0}, 1) == [(1, 1)]
    turns.charge(1, 0)  # it had no task after all
    assert turns.share({1: 0, 2: 0}, 1) == [(1, 1)]
    turns.charge(1, 1)
    assert turns.share({1: 0, 2: 0}, 1) == [(2, 1)]


def test_a_batch_that_had_less_than_its_share_is_charged_for_less() -> None:
    turns = Turns()
    turns.share({1: 0, 2: 0}, 100)
    turns.charge(1, 10)
    turns.charge(2, 50)
    assert dict(turns.share({1: 0, 2: 0}, 60)) == {1: 50, 2: 10}


def test_those_with_the_smallest_pass_come_first() -> None:
    turns, candidates = Turns(), dict.fromkeys(range(1, 21), 0)
    assert [batch_id for batch_id, _ in lease(turns, candidates, 8)] == list(range(1, 9))
    assert [batch_id for batch_id, _ in lease(turns, candidates, 8)] == list(range(9, 17))
    assert turns.order(candidates)[:4] == [17, 18, 19, 20]
    assert [batch_id for batch_id, _ in turns.share(candidates, 100, most_batches=3)] == [17, 18, 19]


def test_a_newcomer_neither_bursts_nor_waits() -> None:
    turns = Turns()
    lease(turns, {1: 0}, 100_000)
    assert leases(turns, {1: 0, 2: 0}, 100) == {1: 50, 2: 50}


def test_a_million_tasks_do_not_make_ten_wait() -> None:
    turns = Turns()
    for _ in range(1000):
        lease(turns, {1: 9}, 1000)
    granted = leases(turns, {1: 9, 2: 0}, 110)
    assert granted == {1: 100, 2: 10}


def test_coming_and_going_gains_nothing() -> None:
    turns = Turns()
    granted: Counter[int] = Counter()
    for call in range(1000):  # batch 2 is a candidate only every other time, weights are 4 to 1
        granted.update(dict(lease(turns, {1: 3, 2: 0} if call % 2 else {1: 3})))
    assert 1000 / 10 - 1 <= granted[2] <= 1000 / 5 + 1


def test_a_newcomer_is_next() -> None:
    turns = Turns()
    leases(turns, {1: 9, 2: 9}, 100)
    assert turns.order({1: 9, 2: 9, 3: 0})[0] == 3


def test_a_batch_that_comes_back_after_long_gets_no_credit() -> None:
    turns = Turns()
    lease(turns, {1: 0, 2: 0}, 10)
    leases(turns, {1: 0}, 1000)
    assert leases(turns, {1: 0, 2: 0}, 100) == {1: 50, 2: 50}


def test_a_changed_priority_counts_from_now_on() -> None:
    turns = Turns()
    assert leases(turns, {1: 0, 2: 0}, 100) == {1: 50, 2: 50}
    assert leases(turns, {1: 0, 2: 4}, 60) == {1: 10, 2: 50}


def test_batches_that_are_gone_are_forgotten() -> None:
    turns = Turns()
    for batch_id in range(0, 10_000, 2):
        lease(turns, {batch_id: 0, batch_id + 1: 9}, 100)
    assert len(turns._passes) < 50


def test_charging_a_batch_that_is_gone_is_no_error() -> None:
    turns = Turns()
    lease(turns, {1: 0})
    turns.share({2: 0}, 1)
    turns.charge(1, 5)
    turns.charge(99, 5)
    assert turns.share({2: 0}, 1) == [(2, 1)]


@given(candidates=CANDIDATES, amount=st.integers(1, 300))
def test_quotas_add_up_and_are_proportional(candidates: dict[int, int], amount: int) -> None:
    shares = Turns().share(candidates, amount)
    total = sum(weight(p) for p in candidates.values())
    assert sum(quota for _, quota in shares) == amount
    assert all(quota >= 1 for _, quota in shares)
    for batch_id, priority in candidates.items():
        fair = amount * weight(priority) / total
        assert abs(dict(shares).get(batch_id, 0) - fair) < len(candidates)


@given(candidates=CANDIDATES)
def test_a_whole_round_gives_each_exactly_its_weight(candidates: dict[int, int]) -> None:
    turns, total = Turns(), sum(weight(p) for p in candidates.values())
    for _ in range(3):
        assert leases(turns, candidates, total) == {b: weight(p) for b, p in candidates.items()}


@given(candidates=CANDIDATES, amounts=st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_each_pair_stays_within_one_turn_of_its_ratio(candidates: dict[int, int], amounts: list[int]) -> None:
    turns, granted = Turns(), Counter[int]()
    for amount in amounts:
        granted.update(dict(lease(turns, candidates, amount)))
    turns_taken = [granted[b] / weight(p) for b, p in candidates.items()]
    longest_stride = max(1 / weight(p) for p in candidates.values())
    assert max(turns_taken) - min(turns_taken) <= longest_stride + 1e-9


@given(
    steps=st.lists(st.tuples(CANDIDATES, st.integers(1, 100)), max_size=30),
    rivals=st.dictionaries(st.integers(100, 120), st.integers(0, 9), min_size=1, max_size=12),
)
def test_no_candidate_starves(steps: list[tuple[dict[int, int], int]], rivals: dict[int, int]) -> None:
    turns = Turns()
    for candidates, amount in steps:  # whatever came before
        lease(turns, candidates, amount)
    candidates = {**rivals, 1: 0}
    total = sum(weight(p) for p in candidates.values())
    # batch 1 may be ahead by one bulk of 100; after as many rounds it has its turn in every round
    leases(turns, candidates, 101, amount=total)
    assert leases(turns, candidates, 3, amount=total)[1] >= 1


def test_many_threads_share_one_scheduler() -> None:
    turns, granted = Turns(), list[Counter[int]]()
    threads = [Thread(target=lambda: granted.append(leases(turns, {1: 0, 2: 3}, 500, amount=5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    total = sum(granted, Counter[int]())
    assert total.total() == 4 * 500 * 5
    assert total[2] / total[1] == pytest.approx(4, rel=0.05)
