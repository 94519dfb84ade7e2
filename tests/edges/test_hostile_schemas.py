"""Schemas that would take a worker's whole life: refused when the batch is made, or ended by a clock."""

from typing import Any

import orjson
import pytest

from app.worker import Task
from app.worker.answers import schema_check
from app.worker.extraction.limits import Limits
from app.worker.handlers import perform
from tests.support.client import ApiClient

BACKTRACKS = {"type": "string", "pattern": "^(a+)+$"}
ALMOST = "a" * 60 + "!"


def doubled(times: int) -> dict[str, Any]:
    """A schema whose references double `times` times."""
    parts: dict[str, Any] = {"p0": {"type": "string"}}
    for number in range(times):
        twice = {"$ref": f"#/$defs/p{number}"}
        parts[f"p{number + 1}"] = {"allOf": [twice, dict(twice)]}
    return {"$defs": parts, "$ref": f"#/$defs/p{times}"}


def grown() -> dict[str, Any]:
    """A schema that is small, but holds itself twice: a nested value doubles the work with each level."""
    twice = {"properties": {"a": {"$ref": "#"}}}
    return {"allOf": [twice, dict(twice)]}


def performed(text: str, schema: Any) -> dict[str, Any]:
    task = Task("1", 1, 1, "ANALYZE", 1, {"schema": schema}, "t.1.1")
    report: dict[str, Any] = orjson.loads(perform(lambda _: {"text": text}, task).body)
    return report


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_references_are_counted_when_the_batch_is_made(client: ApiClient) -> None:
    prompt = {"name": "p", "text": "x"}
    for times, status in ((5, 201), (40, 422), (200, 422)):
        body = {"name": "b", "prompts": [{**prompt, "schema": doubled(times)}]}
        made = client.post("/api/batches", json=body)
        assert made.status_code == status, made.json
    assert "more than 20,000 parts" in made.json["errors"]["prompts"]["0"]["schema"][0]


@pytest.mark.parametrize(
    ("value", "schema"),
    [(ALMOST, BACKTRACKS), ("x", doubled(40)), (orjson.loads('{"a":' * 40 + "1" + "}" * 40), grown())],
    ids=["pattern", "references", "nested"],
)
def test_a_check_that_takes_too_long_is_ended(value: Any, schema: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_check, "LIMITS", Limits(seconds=1))
    report = performed(orjson.dumps(value).decode(), schema)
    assert (report["error"]["code"], report["retryable"]) == ("bad_schema", False)
    assert "took more than 1 s" in report["error"]["message"]
    monkeypatch.undo()
    assert performed('"aaa"', BACKTRACKS)["result"]["json"] == "aaa"  # the next one is checked as ever
