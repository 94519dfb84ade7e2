"""POST /api/batches with `from`: a new batch like another one, except for what is named."""

from typing import Any

from tests.api.lives import MODEL, answered, bring, create, create_ready, refused, show
from tests.support.client import ApiClient

OTHER = {"name": "other", "text": "Who speaks? {document}", "system": "Be brief.", "schema": {"type": "object"}}


def copy(client: ApiClient, source: int, **named: Any) -> Any:
    return client.post("/api/batches", json={"name": "again", "from": source, **named})


def documents(client: ApiClient, batch_id: int) -> list[tuple[Any, ...]]:
    found = client.get(f"/api/batches/{batch_id}/documents").json["documents"]
    return [(each["number"], each["name"], each["sha256"], each["size_bytes"]) for each in found]


def test_all_but_the_results_is_copied(client: ApiClient) -> None:
    source = bring(client, "COMPLETED", options={"max_cost": 2.5, "priority": 7, "on_unreadable": "skip"})
    made = answered(copy(client, source["id"]), 201)
    assert (made["name"], made["state"], made["version"], made["run"]) == ("again", "SAVED", 1, 0)
    assert made["options"] == source["options"]
    assert made["input"] == source["input"]
    assert documents(client, made["id"]) == documents(client, source["id"])
    row = client.get(f"/api/batches/{made['id']}/audit").json["audit"][0]
    assert (row["trigger"], row["context"]) == ("create", {"from": source["id"]})
    assert client.post(f"/api/batches/{made['id']}/action", json={"action": "stage"}).status_code == 200


def test_what_is_named_differs(client: ApiClient) -> None:
    source = create(client, options={"max_cost": 2.5, "priority": 7})["id"]
    body = {"prompts": [OTHER], "options": {"max_cost": None}, "description": "with other prompts"}
    made = answered(copy(client, source, **body), 201)
    assert (made["options"]["max_cost"], made["options"]["priority"]) == (None, 7)
    assert (made["input"]["prompts"], made["description"]) == (1, "with other prompts")
    own = [{"name": "x.txt", "text": "x"}, {"name": "y.txt", "text": "x"}]
    with_own = answered(copy(client, source, documents=own, models=[MODEL, MODEL]), 201)
    assert [each[1] for each in documents(client, with_own["id"])] == ["x.txt"]
    assert with_own["duplicates"] == [{"name": "y.txt", "of": "x.txt"}]
    assert with_own["input"]["models"] == 2


def test_an_erased_document_is_left_out(client: ApiClient) -> None:
    source = create(client)["id"]
    first, *others = client.get(f"/api/batches/{source}/documents").json["documents"]
    assert client.delete(f"/api/batches/{source}/documents/{first['id']}").status_code == 200
    made = answered(copy(client, source), 201)["id"]
    assert [each[:2] for each in documents(client, made)] == [(n, each["name"]) for n, each in enumerate(others, 1)]


def test_refusals(client: ApiClient) -> None:
    assert refused(copy(client, 10**6), 422)["errors"]["from"]
    for wrong in (0, "1", None, 1.5):
        refused(copy(client, wrong), 422)  # type: ignore[arg-type]
    assert refused(copy(client, create_ready(client)["id"]), 409)["code"] == "made_of_ready_tasks"
    archived = create(client)["id"]
    client.delete(f"/api/batches/{archived}")
    refused(copy(client, archived), 422)
    assert show(client, create(client)["id"])["version"] == 1
