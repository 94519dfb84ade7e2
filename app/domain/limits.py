"""The limits of a batch: how much a run may use before the breaker pauses it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.domain.money import cost
from app.domain.usage import ConnectionCalls, Usage

NAMES = ("max_cost", "max_tokens", "max_failure_rate")  # of the limits of a run, as callers know them
FIRST_CALLS = 10  # that a run with a cost limit may have in flight before it knows the price of one
FEWEST_ATTEMPTS = 20  # calls of a connection; with fewer, its share of failures means nothing


@dataclass(frozen=True)
class Limits:
    """The limits of one batch; None means no limit."""

    max_cost_nanos: int | None = None
    max_tokens: int | None = None
    max_failure_rate: float | None = None


@dataclass(frozen=True)
class Crossing:
    """A limit that is crossed: what it allows, what was used, and the reason as a sentence."""

    limit: str
    allowed: float | None
    used: float | None
    reason: str
    connection: str | None = None

    @property
    def context(self) -> dict[str, Any]:
        """The figures for the context of the audit row."""
        of = {"connection": self.connection} if self.limit == "max_failure_rate" else {}
        return {"limit": self.limit, "allowed": self.allowed, "used": self.used, **of}


def crossed(usage: Usage, limits: Limits, calls: Iterable[ConnectionCalls] = ()) -> Crossing | None:
    """Find the first limit that a run has crossed: cost, then tokens, then failures by connection; or None."""
    if limits.max_cost_nanos is not None and usage.cost_nanos >= limits.max_cost_nanos:
        used, allowed = cost(usage.cost_nanos), cost(limits.max_cost_nanos)
        reason = f"The run has cost {_money(used)}; its limit (max_cost) is {_money(allowed)}."
        return Crossing("max_cost", allowed, used, reason)
    if limits.max_cost_nanos is not None and usage.unpriced:
        return _unpriced(usage, limits.max_cost_nanos)
    if limits.max_tokens is not None and usage.tokens >= limits.max_tokens:
        reason = f"The run has used {usage.tokens} tokens; its limit (max_tokens) is {limits.max_tokens}."
        return Crossing("max_tokens", limits.max_tokens, usage.tokens, reason)
    rate = limits.max_failure_rate
    for each in calls if rate is not None else ():
        if rate is not None and each.attempts >= FEWEST_ATTEMPTS and each.failures / each.attempts > rate:
            return _failing(each, rate)
    return None


def affordable_calls(max_cost_nanos: int, spent_nanos: int, priced_calls: int, in_flight: int) -> int | None:
    """Count the calls that a run may begin now so that its cost limit holds at the mean price; None for any number.

    One call may always be in flight while the limit is not reached: else the run would neither end nor pause.
    """
    if not priced_calls:
        return max(0, FIRST_CALLS - in_flight)
    if not spent_nanos:
        return None
    rest = (max_cost_nanos - spent_nanos) * priced_calls // spent_nanos
    return max(0, max(1, rest) - in_flight)


def _unpriced(usage: Usage, max_cost_nanos: int) -> Crossing:
    used, allowed = cost(usage.cost_nanos), cost(max_cost_nanos)
    reason = (
        f"The cost of {usage.unpriced} calls is not known, so the limit (max_cost) of {_money(allowed)} cannot be kept:"
        " the model server counts no tokens, or the worker knows no price of the model."
        " Give it a price in connections.toml, or resume without the limit."
    )
    return Crossing("max_cost", allowed, used, reason)


def _failing(calls: ConnectionCalls, rate: float) -> Crossing:
    share = calls.failures / calls.attempts
    over = "of ready-made tasks" if calls.connection is None else f"over connection {calls.connection!r}"
    reason = (
        f"{calls.failures} of {calls.attempts} calls {over} failed, {share:.1%};"
        f" the limit (max_failure_rate) is {rate:.1%}."
    )
    return Crossing("max_failure_rate", rate, share, reason, calls.connection)


def _money(amount: float | None) -> str:
    return f"{amount:.9f}".rstrip("0").rstrip(".")
