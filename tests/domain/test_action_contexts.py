"""What a context says to the batch itself: read for the actions that have a parser, refused where it makes no sense."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.action_contexts import PARSERS, columns_of
from app.domain.money import MOST_COST
from app.domain.transitions import ACTIONS
from app.domain.usage import MOST_TOKENS
from app.errors import Invalid


def test_each_parser_is_of_an_action() -> None:
    assert set(PARSERS) <= set(ACTIONS)


def test_limits_are_read_and_the_rest_is_the_callers_own() -> None:
    context = {"max_cost": 5, "max_tokens": 10.0, "max_failure_rate": 0.5, "reason": "go on", "ticket": 7}
    assert columns_of("resume", context) == {"max_cost_nanos": 5 * 10**9, "max_tokens": 10, "max_failure_rate": 0.5}


def test_what_is_not_named_stays_and_null_is_no_limit() -> None:
    assert columns_of("resume", {"reason": "go on"}) == {}
    assert columns_of("resume", {"max_cost": None, "max_tokens": None, "max_failure_rate": None}) == {
        "max_cost_nanos": None,
        "max_tokens": None,
        "max_failure_rate": None,
    }


def test_the_bounds_are_those_of_a_new_batch() -> None:
    context = {"max_cost": MOST_COST, "max_tokens": MOST_TOKENS, "max_failure_rate": 1}
    assert columns_of("resume", context)["max_tokens"] == MOST_TOKENS


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("max_cost", value) for value in (True, "5", [], {}, -1, MOST_COST * 2, float("nan"), float("inf"))),
        *(("max_tokens", value) for value in (True, "5", -1, 1.5, MOST_TOKENS + 1, float("nan"), float("inf"))),
        *(("max_failure_rate", value) for value in (False, "0.5", -0.1, 1.1, float("nan"))),
    ],
    ids=repr,
)
def test_no_limit_at_all(key: str, value: Any) -> None:
    with pytest.raises(Invalid, match=f"context.{key} has to be") as refused:
        columns_of("resume", {key: value})
    assert list(refused.value.facts["errors"]["context"]) == [key]


@pytest.mark.parametrize("action", ["stage", "run", "restage", "resume"])
def test_a_deadline_is_read(action: str) -> None:
    at = datetime(2026, 11, 26, 5, 56, 1, tzinfo=UTC)
    assert columns_of(action, {"deadline_at": "2026-11-26T06:56:01+01:00"})["deadline_at"] == at
    assert columns_of(action, {"deadline_at": None})["deadline_at"] is None
    assert "deadline_at" not in columns_of(action, {})
    for wrong in ("2026-11-26T05:56:01", "soon", 7, [], "9999-12-31T23:59:59-23:59", ""):
        with pytest.raises(Invalid, match=r"context\.deadline_at has to be"):
            columns_of(action, {"deadline_at": wrong})


def test_an_action_without_a_parser_reads_nothing() -> None:
    assert columns_of("pause", {"max_cost": "junk"}) == {}
