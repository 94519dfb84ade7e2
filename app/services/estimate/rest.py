"""What the calls that a batch has still to make cost, priced as its calls so far, else as those of earlier batches."""

from typing import Any

from sqlalchemy import Connection, text

from app.domain.money import cost
from app.domain.usage import Usage
from app.services.estimate import prices

_SO_FAR = text("""
SELECT CAST(coalesce(sum(cost_nanos), 0) AS bigint) AS cost_nanos,
    CAST(coalesce(sum(attempts - unpriced), 0) AS bigint) AS calls
FROM usage_counts WHERE batch_id = :batch_id
""")


def cost_of_rest(
    connection: Connection, batch_id: int, calls: int, models: int, used: Usage, priced_calls: int
) -> dict[str, Any]:
    """Estimate the cost of `calls` calls, and of one; all are None where no price is known.

    The price is that of the `priced_calls` of the present run, which `used` so much; else that of the batch's earlier
    runs; else that of earlier batches: then each of the batch's models makes as many of the calls.
    """
    so_far = (used.cost_nanos, priced_calls) if priced_calls else _of_all_runs(connection, batch_id)
    if so_far[1]:
        total = prices.exactly(so_far[0] / so_far[1]).times(calls)
    else:
        known = prices.of_earlier_batches(connection, batch_id) if models and calls else {}
        if not known or len(known) < models:
            return {"cost": None, "cost_range": None, "cost_a_call": None}
        each = [price.times(calls / models) for price in known.values()]
        total = prices.sum_of(each)
    shown = {"cost": cost(round(total.mean)), "cost_range": [cost(round(total.low)), cost(round(total.high))]}
    return {**shown, "cost_a_call": cost(round(total.mean / calls)) if calls else None}


def _of_all_runs(connection: Connection, batch_id: int) -> tuple[int, int]:
    row = connection.execute(_SO_FAR, {"batch_id": batch_id}).one()
    return row.cost_nanos, row.calls
