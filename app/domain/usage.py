"""What model calls use: tokens, money, time. A worker reports it for one call; it is added up for a run."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.domain.money import NANOS

MOST_TOKENS = 2**53  # the highest limit that a batch may have: every reader of JSON holds it exactly
# Limits for one call. A larger value is not a measurement.
MOST_CALL_TOKENS = 10**9
MOST_CALL_COST = 1_000
MOST_CALL_MS = 2**31 - 1
# Where a counter stops. A run has up to 64 shards of each: their sum is below 2**63, whatever workers report.
MOST_COUNTED = 2**56


@dataclass(frozen=True)
class Usage:
    """Tokens and money; `cost_nanos` are billionths of the currency of the prices."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0
    unpriced: int = field(default=0, kw_only=True)  # calls whose cost is not known

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


class CallUsage(NamedTuple):
    """What one call used, as `Usage` is for a run; `latency_ms` is None where the worker did not report it."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0
    latency_ms: int | None = None
    unpriced: int = 0  # 1 if the cost of the call is not known

    @property
    def amounts(self) -> dict[str, int]:
        """The amounts that every counter adds up, by the names of their columns."""
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens, "cost_nanos": self.cost_nanos}

    @classmethod
    def of(cls, answer: Any, is_paid: bool = False) -> "CallUsage":
        """Read the `usage` of a result or error. A value that is not a number from 0 to its limit counts as absent.

        A call is unpriced if it reports a usage without its cost, or `is_paid` and reports no usage at all.
        """
        usage = answer.get("usage") if isinstance(answer, dict) else None
        if not isinstance(usage, dict):
            return cls(unpriced=int(is_paid))
        cost_nanos = _whole(usage.get("cost"), MOST_CALL_COST, NANOS)
        return cls(
            input_tokens=_whole(usage.get("input_tokens"), MOST_CALL_TOKENS) or 0,
            output_tokens=_whole(usage.get("output_tokens"), MOST_CALL_TOKENS) or 0,
            cost_nanos=cost_nanos or 0,
            unpriced=int(cost_nanos is None),
            latency_ms=_whole(usage.get("latency_ms"), MOST_CALL_MS),
        )

    @classmethod
    def total(cls, calls: Iterable["CallUsage"]) -> "CallUsage":
        """Add up what calls used; `latency_ms` is of those that reported it."""
        return cls(*(sum(filter(None, amounts)) for amounts in zip(*calls, strict=True)))


@dataclass(frozen=True)
class ConnectionCalls:
    """The calls over one connection in a run: attempts that were reported, and how many of them failed."""

    connection: str | None  # None for ready-made tasks, which name no connection
    attempts: int
    failures: int


def _whole(value: Any, most: int, unit: int = 1) -> int | None:
    if value is None:  # the usual case: a worker reports few of the amounts
        return None
    is_number = type(value) is int or type(value) is float  # a boolean is no number, although Python says so
    return round(value * unit) if is_number and 0 <= value <= most else None
