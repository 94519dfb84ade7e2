"""What a worker says of a call's usage: read where it is a number within bounds, and never in the way."""

from typing import Any

import pytest

from app.domain.usage import MOST_CALL_COST, MOST_CALL_MS, MOST_CALL_TOKENS, CallUsage

JUNK: list[Any] = [None, True, "7", [], {}, -1, -0.5, float("nan"), float("inf"), 10**30, 1e30]


def test_all_of_it() -> None:
    said = {"input_tokens": 120, "output_tokens": 7, "cost": 0.0123456789, "latency_ms": 840}
    assert CallUsage.of({"text": "x", "usage": said}) == CallUsage(120, 7, 12_345_679, 840)


@pytest.mark.parametrize("answer", [None, {}, [], "usage", {"usage": None}, {"usage": 3}, {"usage": [1]}], ids=repr)
def test_nothing_is_printed(answer: Any) -> None:
    assert CallUsage.of(answer) == CallUsage()


def test_a_call_is_unpriced_if_its_cost_is_not_reported() -> None:
    assert CallUsage.of({"usage": {}}).unpriced == 1
    assert CallUsage.of({"text": "x"}, is_paid=True).unpriced == 1
    assert CallUsage.of({"usage": {"cost": 0}}, is_paid=True).unpriced == 0
    assert CallUsage.of({"code": "timeout"}).unpriced == 0


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "cost", "latency_ms"])
def test_junk_is_absent_and_the_rest_is_read(name: str, junk: Any) -> None:
    said = {"input_tokens": 1, "output_tokens": 2, "cost": 3, "latency_ms": 4}
    column = "cost_nanos" if name == "cost" else name
    whole = {"input_tokens": 1, "output_tokens": 2, "cost_nanos": 3 * 10**9, "latency_ms": 4}
    expected = {**whole, column: None if name == "latency_ms" else 0, "unpriced": int(name == "cost")}
    assert CallUsage.of({"usage": {**said, name: junk}}) == CallUsage(**expected)


def test_the_bounds_themselves_count() -> None:
    said = {"input_tokens": MOST_CALL_TOKENS, "output_tokens": 0, "cost": MOST_CALL_COST, "latency_ms": MOST_CALL_MS}
    assert CallUsage.of({"usage": said}) == CallUsage(10**9, 0, 10**12, 2**31 - 1)
    assert CallUsage.of({"usage": {name: value + 1 for name, value in said.items()}}) == CallUsage(
        output_tokens=1, unpriced=1
    )


def test_a_fraction_of_a_token_is_rounded() -> None:
    assert CallUsage.of({"usage": {"input_tokens": 1.6, "latency_ms": 12.4}}) == CallUsage(2, 0, 0, 12, unpriced=1)
