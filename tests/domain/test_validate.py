"""validate() refuses an inconsistent table: the service does not start with it."""

from dataclasses import replace
from typing import Any

import pytest

from app.domain.transitions import TABLE, BatchState, Kind, TableError, Transition, validate


def changed(trigger: str, **changes: Any) -> list[Transition]:
    assert trigger in {row.trigger for row in TABLE}
    return [replace(row, **changes) if row.trigger == trigger else row for row in TABLE]


def test_the_table_itself_is_valid() -> None:
    assert list(validate(TABLE).values()) == list(TABLE)


def test_any_order_of_rows_is_valid() -> None:
    assert set(validate(reversed(TABLE))) == {row.trigger for row in TABLE}


def test_a_duplicate_trigger() -> None:
    with pytest.raises(TableError, match="'run' occurs twice"):
        validate([*TABLE, replace(TABLE[0], trigger="run")])


@pytest.mark.parametrize("changes", [{"target": "GONE"}, {"sources": (BatchState.STAGED, "GONE")}])
def test_an_unknown_state(changes: dict[str, Any]) -> None:
    with pytest.raises(TableError, match=r"'run' names unknown states: .*GONE"):
        validate(changed("run", **changes))


@pytest.mark.parametrize("sources", [(), (BatchState.STAGED, BatchState.STAGED)])
def test_no_source_state_or_one_twice(sources: tuple[BatchState, ...]) -> None:
    with pytest.raises(TableError, match="'run' has no source state, or has one twice"):
        validate(changed("run", sources=sources))


@pytest.mark.parametrize("kind", [Kind.EDIT, "wish"])
def test_a_kind_that_is_neither_action_nor_event(kind: object) -> None:
    with pytest.raises(TableError, match="'run' is neither action nor event"):
        validate(changed("run", kind=kind))


@pytest.mark.parametrize(
    ("without", "lost"),
    [
        ("pause", "PAUSED"),
        ("tasks_finished", "COMPLETED"),
        ("run", "ANALYZING.*COMPLETED.*PAUSED"),  # FAILED is still reached, from STAGING
    ],
)
def test_a_state_to_which_no_transition_leads(without: str, lost: str) -> None:
    with pytest.raises(TableError, match=f"no transition leads to .*{lost}"):
        validate([row for row in TABLE if row.trigger != without])


def test_a_transition_from_unreachable_states_does_not_count() -> None:
    rows = [row for row in changed("pause", sources=(BatchState.COMPLETED,)) if row.trigger != "tasks_finished"]
    with pytest.raises(TableError, match=r"no transition leads to .*COMPLETED.*PAUSED"):
        validate(rows)


def test_an_empty_table() -> None:
    with pytest.raises(TableError):
        validate([])
