"""What a batch may say of its input, and of the money it may cost."""

from enum import StrEnum

NANOS = 1_000_000_000  # costs are whole billionths of the currency of the prices: sums stay exact
MOST_COST = 1e9
MOST_TOKENS = 2**53  # what every reader of JSON holds exactly


class OnUnreadable(StrEnum):
    """What a document that cannot be read does: fail the staging, or be left out and shown as such."""

    FAIL = "fail"
    SKIP = "skip"


def nanos(cost: float | None) -> int | None:
    """Count a cost in billionths; None stays None."""
    return None if cost is None else round(cost * NANOS)


def cost(amount: int | None) -> float | None:
    """Turn billionths back into units of the currency; None stays None."""
    return None if amount is None else amount / NANOS
