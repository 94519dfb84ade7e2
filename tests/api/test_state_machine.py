"""GET /api/state-machine, in three formats, held against the table of contract 2 as it is written there."""

from xml.etree import ElementTree

import pytest

from tests.api.lives import answered, refused
from tests.support.client import ApiClient

STATES = ["SAVED", "STAGING", "STAGED", "ANALYZING", "PAUSED", "COMPLETED", "FAILED"]
TABLE = [
    ("stage", "action", ["SAVED"], "STAGING"),
    ("staging_completed", "event", ["STAGING"], "STAGED"),
    ("staging_failed", "event", ["STAGING"], "FAILED"),
    ("run", "action", ["STAGED"], "ANALYZING"),
    ("pause", "action", ["ANALYZING"], "PAUSED"),
    ("resume", "action", ["PAUSED"], "ANALYZING"),
    ("cancel", "action", ["ANALYZING", "PAUSED"], "FAILED"),
    ("tasks_finished", "event", ["ANALYZING"], "COMPLETED"),
    ("critical_error", "event", ["ANALYZING"], "FAILED"),
    ("restage", "action", ["COMPLETED", "FAILED"], "STAGING"),
    ("reset", "action", ["SAVED", "COMPLETED", "FAILED"], "SAVED"),
]


@pytest.mark.parametrize("query", ["", "?format=json"])
def test_as_json(same_client: ApiClient, query: str) -> None:
    """Contract 2 and 5: JSON; the table row by row."""
    body = answered(same_client.acting_as("viewer").get(f"/api/state-machine{query}"))
    assert [state["name"] for state in body["states"]] == STATES
    assert body["initial"] == "SAVED"
    rows = [(row["trigger"], row["kind"], row["from"], row["to"]) for row in body["transitions"]]
    assert rows == TABLE
    guards = {row["trigger"]: row["guard"] for row in body["transitions"]}
    assert guards["run"] is None
    assert "documents, prompts and models" in guards["stage"]
    assert "active tasks" in guards["pause"]


def test_as_mermaid(same_client: ApiClient) -> None:
    """Contract 5: `?format=mermaid`: every way of the table, and no other."""
    answer = same_client.get("/api/state-machine?format=mermaid")
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; charset=utf-8"
    head, *lines = answer.text.strip().splitlines()
    assert head == "stateDiagram-v2"
    ways = {line.strip() for line in lines if "-->" in line}
    expected = {"[*] --> SAVED"} | {
        f"{source} --> {target}: {trigger}{' (event)' if kind == 'event' else ''}"
        for trigger, kind, sources, target in TABLE
        for source in sources
    }
    assert ways == expected


def test_as_a_picture(same_client: ApiClient) -> None:
    """Contract 5: `?format=svg`: a picture that is well-formed, names all states and triggers, and runs nothing."""
    answer = same_client.get("/api/state-machine?format=svg")
    assert answer.status_code == 200
    assert answer.content_type.startswith("image/svg+xml")
    root = ElementTree.fromstring(answer.data)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    text = " ".join("".join(each.itertext()) for each in root.iter())
    for word in (*STATES, *(row[0] for row in TABLE)):
        assert word in text, word
    assert "<script" not in answer.text
    assert "http://" not in answer.text.replace("http://www.w3.org/", "")


@pytest.mark.parametrize("query", ["?format=png", "?format=", "?format=JSON", "?x=1"])
def test_422_another_format(same_client: ApiClient, query: str) -> None:
    """Contract 5: a bad query is 422."""
    refused(same_client.get(f"/api/state-machine{query}"), 422)
