"""What model calls use: tokens, money, time. Read from what a worker says of one call, and added up for a run."""

from dataclasses import dataclass
from typing import Any

from app.domain.money import NANOS

MOST_TOKENS = 2**53  # the highest limit that a batch may have: every reader of JSON holds it exactly
# Of one call. What is larger is no measurement; and a sum of 64 bits has room for a batch of the largest.
MOST_CALL_TOKENS = 10**9
MOST_CALL_COST = 100_000
MOST_CALL_MS = 2**31 - 1


@dataclass(frozen=True)
class Usage:
    """Tokens and money; `cost_nanos` are billionths of the currency of the prices."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def amounts(self) -> dict[str, int]:
        """What is added up, by the names of the columns."""
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens, "cost_nanos": self.cost_nanos}


@dataclass(frozen=True)
class CallUsage(Usage):
    """What one call used; `latency_ms` is None where the worker did not say it."""

    latency_ms: int | None = None

    @classmethod
    def of(cls, answer: Any) -> "CallUsage":
        """Read the `usage` of a result or error. What is no non-negative number within bounds is read as absent."""
        said = answer.get("usage") if isinstance(answer, dict) else None
        if not isinstance(said, dict):
            return cls()
        return cls(
            input_tokens=_whole(said.get("input_tokens"), MOST_CALL_TOKENS) or 0,
            output_tokens=_whole(said.get("output_tokens"), MOST_CALL_TOKENS) or 0,
            cost_nanos=_whole(said.get("cost"), MOST_CALL_COST, NANOS) or 0,
            latency_ms=_whole(said.get("latency_ms"), MOST_CALL_MS),
        )


@dataclass(frozen=True)
class ConnectionCalls:
    """The calls over one connection in a run: attempts that were reported, and how many of them failed."""

    connection: str | None  # None: ready-made tasks, which name no connection
    attempts: int
    failures: int


def _whole(said: Any, most: int, unit: int = 1) -> int | None:
    number = isinstance(said, int | float) and not isinstance(said, bool)
    return round(said * unit) if number and 0 <= said <= most else None
