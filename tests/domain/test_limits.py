"""When a limit is crossed: one row a situation, with the rule in words."""

import pytest

from app.domain.limits import FEWEST_ATTEMPTS, Limits, crossed
from app.domain.usage import ConnectionCalls, Usage

USED = Usage(input_tokens=700, output_tokens=300, cost_nanos=5_000_000_000)
FAILING = ConnectionCalls("east", FEWEST_ATTEMPTS, 11)


@pytest.mark.parametrize(
    ("limits", "calls", "limit", "rule"),
    [
        (Limits(), [FAILING], None, "no limit is never crossed"),
        (Limits(max_cost_nanos=5_000_000_001), [], None, "below the limit"),
        (Limits(max_cost_nanos=5_000_000_000), [], "max_cost", "at the limit is crossed"),
        (Limits(max_cost_nanos=0), [], "max_cost", "nothing may be spent"),
        (Limits(max_tokens=1_001), [], None, "in and out together are below"),
        (Limits(max_tokens=1_000), [], "max_tokens", "in and out together count"),
        (Limits(max_failure_rate=0.55), [FAILING], None, "at the rate is not above it"),
        (Limits(max_failure_rate=0.54), [FAILING], "max_failure_rate", "above the rate"),
        (Limits(max_failure_rate=0.5), [ConnectionCalls("east", 19, 19)], None, "too few attempts say nothing"),
        (Limits(max_failure_rate=0), [ConnectionCalls("east", 20, 0)], None, "no failure is never too many"),
        (Limits(max_failure_rate=1), [ConnectionCalls("east", 20, 20)], None, "a share is never above 1"),
        (Limits(max_failure_rate=0.5), [ConnectionCalls("a", 90, 9), FAILING], "max_failure_rate", "each by itself"),
        (Limits(1, 1, 0.1), [FAILING], "max_cost", "money is said first"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_limit(limits: Limits, calls: list[ConnectionCalls], limit: str | None, rule: str) -> None:
    found = crossed(USED, limits, calls)
    assert (found.limit if found else None) == limit, rule


def test_the_reason_has_the_figures() -> None:
    cost, tokens, rate = (
        crossed(USED, Limits(max_cost_nanos=2_500_000_000)),
        crossed(USED, Limits(max_tokens=10)),
        crossed(USED, Limits(max_failure_rate=0.25), [FAILING]),
    )
    assert cost
    assert tokens
    assert rate
    assert cost.reason == "The run has cost 5; its limit (max_cost) is 2.5."
    assert cost.context == {"limit": "max_cost", "allowed": 2.5, "used": 5.0}
    assert tokens.reason == "The run has used 1000 tokens; its limit (max_tokens) is 10."
    assert tokens.context == {"limit": "max_tokens", "allowed": 10, "used": 1000}
    assert rate.reason == (
        "11 of 20 calls over connection 'east' failed, 55.0%; the limit (max_failure_rate) is 25.0%."
    )
    assert rate.context == {"limit": "max_failure_rate", "allowed": 0.25, "used": 0.55, "connection": "east"}


def test_ready_made_tasks_have_no_connection() -> None:
    found = crossed(USED, Limits(max_failure_rate=0.25), [ConnectionCalls(None, 20, 20)])
    assert found
    assert "calls of ready-made tasks failed" in found.reason


def test_small_money_is_written_out() -> None:
    found = crossed(Usage(cost_nanos=30), Limits(max_cost_nanos=20))
    assert found
    assert found.reason == "The run has cost 0.00000003; its limit (max_cost) is 0.00000002."
