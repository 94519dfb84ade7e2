"""PUT /api/batches/<id>/input: prompts, models or options of a SAVED batch, as one edit."""

from typing import Any

import pytest

from tests.api.lives import MODEL, answered, bring, create, create_ready, refused, show
from tests.support.client import ApiClient

WHO = {"name": "who", "text": "Who speaks?"}


def put(client: ApiClient, batch_id: int, body: dict[str, Any], **more: Any) -> Any:
    return client.put(f"/api/batches/{batch_id}/input", json=body, **more)


def test_what_is_named_is_replaced_and_the_rest_stays(client: ApiClient) -> None:
    batch = create(client, options={"max_attempts": 5, "max_cost": 2.5})
    body = {"prompts": [WHO, {**WHO, "name": "where"}], "options": {"max_cost": None, "priority": 3}}
    changed = answered(put(client, batch["id"], body, headers={"If-Match": '"1"'}))
    assert changed["version"] == 2
    assert changed["input"] == {"documents": 2, "prompts": 2, "models": 1, "ready_tasks": 0, "file_id": None}
    assert {name: changed["options"][name] for name in ("max_attempts", "max_cost", "priority")} == {
        "max_attempts": 5, "max_cost": None, "priority": 3,
    }  # fmt: skip
    row = client.get(f"/api/batches/{batch['id']}/audit").json["audit"][-1]
    assert (row["trigger"], row["kind"], row["context"]) == (
        "replace_input", "edit", {"replaced": ["options", "prompts"]},
    )  # fmt: skip
    only_models = answered(put(client, batch["id"], {"models": [MODEL, {**MODEL, "model": "b"}]}))
    assert (only_models["version"], only_models["input"]["models"], only_models["input"]["prompts"]) == (3, 2, 2)


@pytest.mark.parametrize(
    "body", [{}, {"prompts": [{"name": "a"}]}, {"options": {"max_attempts": 0}}, {"name": "x"}, {"prompts": "all"}]
)
def test_422_and_nothing_changes(client: ApiClient, body: dict[str, Any]) -> None:
    batch = create(client)
    refused(put(client, batch["id"], body), 422)
    assert show(client, batch["id"])["version"] == 1


def test_409_unless_it_is_saved_and_412_if_it_has_changed(client: ApiClient) -> None:
    batch_id = create(client)["id"]
    refused(put(client, batch_id, {"prompts": [WHO]}, headers={"If-Match": '"7"'}), 412)
    staged = bring(client, "STAGED")["id"]
    assert refused(put(client, staged, {"prompts": [WHO]}), 409)["code"] == "state_refused"


def test_409_for_prompts_that_a_run_has_used_and_for_ready_made_tasks(client: ApiClient) -> None:
    batch_id = bring(client, "COMPLETED")["id"]
    client.post(f"/api/batches/{batch_id}/action", json={"action": "reset"})
    for part in ({"prompts": [WHO]}, {"models": [MODEL]}):
        assert refused(put(client, batch_id, part), 409)["code"] == "input_in_use"
    assert answered(put(client, batch_id, {"options": {"priority": 1}}))["options"]["priority"] == 1
    ready = create_ready(client)["id"]
    assert refused(put(client, ready, {"prompts": [WHO]}), 409)["code"] == "made_of_ready_tasks"
    assert answered(put(client, ready, {"options": {"max_cost": 1}}))["options"]["max_cost"] == 1
