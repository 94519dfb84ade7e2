"""The dict and the Mermaid text hold the whole table and nothing else."""

import json
import re

import pytest

from app.domain.picture.diagram import as_dict, as_mermaid
from app.domain.transitions import TABLE, BatchState, Kind


def test_the_dict_is_json_with_all_states_in_order() -> None:
    machine = as_dict()
    assert json.loads(json.dumps(machine)) == machine
    assert [state["name"] for state in machine["states"]] == list(BatchState)
    assert [state["name"] for state in machine["states"] if state["initial"]] == [machine["initial"]] == ["SAVED"]
    assert [state["name"] for state in machine["states"] if state["ends_run"]] == ["COMPLETED", "FAILED"]


def test_the_dict_holds_every_row() -> None:
    rows = as_dict()["transitions"]
    assert [(r["trigger"], r["kind"], tuple(r["from"]), r["to"], r["meaning"]) for r in rows] == [
        (t.trigger, t.kind, t.sources, t.target, t.meaning) for t in TABLE
    ]
    guards = {row["trigger"]: row["guard"] for row in rows}
    assert guards["run"] is None
    assert guards["pause"] == "the batch has active tasks (queued or leased)"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SAVED", {"actions": ["stage", "reset"], "events": [], "clears_outcome": True, "begins_run": False}),
        ("STAGING", {"leases": ["STAGE"], "reports": ["STAGE"], "begins_run": True, "clears_outcome": True}),
        ("ANALYZING", {"leases": ["ANALYZE"], "sets_time": "started_at", "actions": ["pause", "cancel"],
                       "events": ["tasks_finished", "critical_error"]}),
        ("PAUSED", {"leases": [], "reports": ["ANALYZE"], "sets_time": None, "actions": ["resume", "cancel"]}),
        ("FAILED", {"sets_time": "finished_at", "actions": ["restage", "reset"], "ends_run": True}),
    ],
)  # fmt: skip
def test_the_dict_says_what_a_state_means(name: str, expected: dict[str, object]) -> None:
    (state,) = [state for state in as_dict()["states"] if state["name"] == name]
    assert {key: state[key] for key in expected} == expected


def test_mermaid_has_one_line_for_each_way() -> None:
    head, direction, start, *lines = as_mermaid().splitlines()
    assert (head, direction, start) == ("stateDiagram-v2", "    direction LR", "    [*] --> SAVED")
    found = [re.fullmatch(r"    ([A-Z]+) --> ([A-Z]+): ([a-z_]+)( \(event\))?", line) for line in lines]
    assert all(found), lines
    assert [match.groups() for match in found if match] == [
        (source, row.target, row.trigger, " (event)" if row.kind is Kind.EVENT else None)
        for row in TABLE
        for source in row.sources
    ]
