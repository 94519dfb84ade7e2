"""What a batch may say of its input, and of the money it may cost."""

from enum import StrEnum

NANOS = 1_000_000_000  # costs are whole billionths of the currency of the prices: sums stay exact
MOST_COST = 1e9
MOST_TOKENS = 2**53  # what every reader of JSON holds exactly


UNREADABLE = frozenset({"unreadable", "too_large"})  # error codes of a document that cannot be read, on no worker


class OnUnreadable(StrEnum):
    """What a document that cannot be read does: fail the staging, or be left out and shown as such."""

    FAIL = "fail"
    SKIP = "skip"


def leaves_out(on_unreadable: str, code: object) -> bool:
    """Whether a document that failed for good with this error code is left out, instead of failing the staging."""
    return on_unreadable == OnUnreadable.SKIP and code in UNREADABLE


def objection_to_pattern(pattern: str) -> str | None:
    """Say why a folder's pattern can never be resolved below a worker's root, or None."""
    parts = pattern.split("/")
    if not parts[0] or ".." in parts:
        return "has to be a path below the workers' root: relative, and without `..`"
    return None


def nanos(cost: float | None) -> int | None:
    """Count a cost in billionths; None stays None."""
    return None if cost is None else round(cost * NANOS)


def cost(amount: int | None) -> float | None:
    """Turn billionths back into units of the currency; None stays None."""
    return None if amount is None else amount / NANOS
