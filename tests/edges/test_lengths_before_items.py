"""A list is refused by its length, and schemas by their sum, before any item is looked at; on pages as in the API."""

from typing import Any

import pytest
from flask import Flask

from app.api.schemas import fields
from app.ui.new_batch import form as new_batch_form
from tests.services.stories import bring
from tests.support.client import ApiClient
from tests.ui.visits import visitor

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

SCHEMA = {"description": "x" * 60_000}


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The schemas that were checked."""
    seen: list[Any] = []
    for module in (fields, new_batch_form):
        monkeypatch.setattr(module, "objection_to_schema", lambda schema: seen.append(schema))
    return seen


@pytest.mark.parametrize(
    ("path", "body", "most"),
    [
        ("/api/batches", {"name": "b", "documents": [1] * 20_000}, 10_000),
        ("/api/batches", {"name": "b", "prompts": [{"x": 1}] * 2_000}, 100),
        ("/api/batches", {"name": "b", "models": [None] * 2_000}, 100),
        ("/api/tasks/heartbeat", {"leases": [1] * 2_000}, 1_000),
        ("/api/tasks/release", {"leases": [1] * 2_000}, 1_000),
        ("/api/tasks/report", {"reports": [1] * 2_000}, 1_000),
    ],
)
def test_a_long_list_has_one_error(client: ApiClient, path: str, body: dict[str, Any], most: int) -> None:
    role = "worker" if "tasks" in path else "operator"
    answer = client.acting_as(role).post(path, json=body)
    assert answer.status_code == 422
    (errors,) = answer.json["errors"].values()
    assert errors == [f"Longer than maximum length {most}."]


def test_schemas_are_added_up_before_each_is_checked(client: ApiClient, checked: list[Any]) -> None:
    prompts = [{"name": "p", "text": "x", "schema": SCHEMA}] * 40
    answer = client.post("/api/batches", json={"name": "b", "prompts": prompts})
    assert (answer.status_code, list(answer.json["errors"]), checked) == (422, ["prompts"], [])


def test_the_form_adds_them_up_too(app: Flask, tokens: dict[str, str], checked: list[Any]) -> None:
    form = {"name": "b", "prompt_name": ["p"] * 40, "prompt_text": ["x"] * 40, "prompt_system": [""] * 40}
    schema = '{"description": "' + "x" * 60_000 + '"}'
    for path in ("/batches/new", "/batches/new/look"):
        visitor(app, tokens, "operator").post(path, data={**form, "prompt_schema": [schema] * 40})
    assert checked == []


def test_a_long_reason_is_refused_on_a_page(app: Flask, services: Any, tokens: dict[str, str]) -> None:
    batch_id, operator = bring(services, "ANALYZING"), visitor(app, tokens, "operator")
    version = services.reads.batches.show(batch_id)["version"]
    for reason in ("x" * 1_000_000, "x" * 2_001, "a\0b"):
        one = {"action": "pause", "version": version, "reason": reason}
        assert operator.post(f"/batches/{batch_id}/act", data=one).status_code == 422
        many = {"action": "pause", "batch": f"{batch_id}:{version}", "reason": reason}
        assert operator.post("/batches/bulk/apply", data=many).status_code == 422
    assert services.reads.batches.show(batch_id)["state"] == "ANALYZING"
