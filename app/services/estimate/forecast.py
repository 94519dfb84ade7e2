"""The estimate of a `stage` or `restage`: the calls of the next run, and what they will cost."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.domain.facts import Facts
from app.domain.money import cost
from app.domain.reuse import redo_of
from app.services.estimate import prices
from app.services.estimate.next_calls import Amounts, next_calls


def forecast(
    connection: Connection, batch_id: int, run: int, facts: Facts, reuse: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Count the calls that the next run would make, and estimate their cost; `reuse` is the column that it would set.

    A model has the price of its answers in this batch, else that of its answers in earlier batches. `cost` and
    `cost_range` (least, most) are None if a model that would be called has neither.
    """
    calls = next_calls(connection, batch_id, run, facts, redo_of(reuse))
    return {"calls": sum(calls.values()), **cost_of(connection, batch_id, calls)}


def cost_of(connection: Connection, batch_id: int, calls: Amounts) -> dict[str, Any]:
    """Estimate what calls of a batch, counted by model, will cost."""
    called = {model: amount for model, amount in calls.items() if amount}
    own = prices.of_answers(connection, batch_id)
    earlier = {} if called.keys() <= own.keys() else prices.of_earlier_batches(connection, batch_id)
    known = {model: price for model in called if (price := own.get(model) or earlier.get(model))}
    if called and (called.keys() - known.keys() or not any(known[model].mean for model in called)):
        return {"cost": None, "cost_range": None}
    total = prices.sum_of([known[model].times(amount) for model, amount in called.items()])
    return {"cost": cost(round(total.mean)), "cost_range": [cost(round(total.low)), cost(round(total.high))]}
