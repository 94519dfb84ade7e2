"""Costs: kept as whole billionths (nanos) of the currency of the prices, so that sums are exact."""

from math import ceil, floor, log10

NANOS = 1_000_000_000  # in one unit of the currency
MOST_COST = 1e9  # the highest limit that a batch may have, in units of the currency


def nanos(cost: float | None) -> int | None:
    """Convert a cost to billionths; None stays None."""
    return None if cost is None else round(cost * NANOS)


def cost(amount: int | None) -> float | None:
    """Convert billionths to units of the currency; None stays None."""
    return None if amount is None else amount / NANOS


def rounded_up(amount: float) -> float | None:
    """Round an amount up to two digits, to suggest it as a limit; None if it is nothing."""
    if amount <= 0:
        return None
    unit = 10.0 ** (floor(log10(amount)) - 1)
    return round(ceil(amount / unit) * unit, 9)
