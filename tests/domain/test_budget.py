"""How many calls a run with a cost limit may begin."""

import pytest

from app.domain.limits import FIRST_CALLS, affordable_calls


@pytest.mark.parametrize(
    ("spent", "calls", "in_flight", "most"),
    [
        (0, 0, 0, FIRST_CALLS),  # no price is known: a few
        (0, 0, FIRST_CALLS, 0),
        (0, 5, 100, None),  # they cost nothing
        (20, 2, 0, 8),  # 80 are left, at 10 a call
        (20, 2, 5, 3),
        (20, 2, 8, 0),
        (95, 9, 0, 1),  # less than one call is left: with none in flight, one crosses the limit and ends the run
        (95, 9, 1, 0),
    ],
)
def test_the_calls_that_the_rest_of_the_limit_pays_for(
    spent: int, calls: int, in_flight: int, most: int | None
) -> None:
    assert affordable_calls(100, spent, calls, in_flight) == most
