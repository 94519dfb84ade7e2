"""The calls of /api/webhooks: what each answers and refuses. tests/webhooks has what is sent."""

import json
from typing import Any

import pytest
from standardwebhooks import Webhook as StandardWebhook

from app.services import Services
from config import Config
from tests.api.lives import answered, ask, create, refused
from tests.support.client import ApiClient
from tests.support.receiver import running_receiver

BODY = {"url": "https://example.com/hook", "types": ["batch.completed", "batch.failed"]}
OTHER = "https://other.example.com/"


@pytest.fixture
def config(database_url: str) -> Config:
    return Config(
        database_url=database_url, embedded_worker=False, sweeper=False, webhook_allowed_networks="127.0.0.1/32"
    )


def make(client: ApiClient, **more: Any) -> dict[str, Any]:
    return answered(client.post("/api/webhooks", json={**BODY, **more}), 201)


def test_created_and_its_secret_shown_once(client: ApiClient) -> None:
    """Contract 5: 201 with Location; the secret is in this answer only."""
    answer = client.post("/api/webhooks", json=BODY)
    made = answered(answer, 201)
    path = f"/api/webhooks/{made['id']}"
    assert answer.headers["Location"] == path
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert {name: made[name] for name in ("url", "types", "format", "enabled", "secrets", "waiting", "failures")} == {
        **BODY, "format": "standard", "enabled": True, "secrets": 1, "waiting": 0, "failures": 0,
    }  # fmt: skip
    assert answered(client.get(path)) == made
    assert answered(client.get("/api/webhooks")) == {"webhooks": [made], "next_cursor": None}
    assert secret not in client.get(path).text + client.get("/api/webhooks").text


def test_listed_in_pages(client: ApiClient) -> None:
    ids = [make(client)["id"] for _ in range(3)]
    first = answered(client.get("/api/webhooks?limit=2"))
    second = answered(client.get(f"/api/webhooks?limit=2&cursor={first['next_cursor']}"))
    assert [each["id"] for each in [*first["webhooks"], *second["webhooks"]]] == ids
    assert second["next_cursor"] is None


def test_the_33rd_is_refused(client: ApiClient) -> None:
    for _ in range(32):
        make(client)
    assert "32" in refused(client.post("/api/webhooks", json=BODY), 422)["detail"]


def test_the_same_key_makes_one(client: ApiClient) -> None:
    """Contract 4: the same Idempotency-Key gets the same secret."""
    for path in ("/api/webhooks", None):
        path = path or f"/api/webhooks/{make(client)['id']}/rotate"
        body = {"json": BODY} if path == "/api/webhooks" else {}
        first, second = (client.post(path, headers={"Idempotency-Key": path}, **body) for _ in range(2))
        assert first.json == second.json
    assert len(answered(client.get("/api/webhooks"))["webhooks"]) == 2


def test_changed(client: ApiClient) -> None:
    """Contract 5: PATCH changes what it names."""
    made = make(client)
    path = f"/api/webhooks/{made['id']}"
    changes = {"url": OTHER, "types": ["limit.near"], "description": "night shift", "enabled": False}
    for name, value in changes.items():
        assert answered(client.patch(path, json={name: value}))[name] == value
    assert {name: answered(client.get(path))[name] for name in changes} == changes


def test_deleted(client: ApiClient) -> None:
    """Contract 5: 204; from then on it is not found."""
    path = f"/api/webhooks/{make(client)['id']}"
    assert client.delete(path).status_code == 204
    for call in (client.get, client.delete):
        refused(call(path), 404)
    refused(client.patch(path, json={"enabled": True}), 404)
    for call in ("rotate", "test", "replay"):
        refused(client.post(f"{path}/{call}", json={"message_ids": ["x"]} if call == "replay" else None), 404)
    refused(client.get(f"{path}/deliveries"), 404)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "http://10.0.0.1/"),
        ("url", "ftp://example.com/"),
        ("url", ""),
        ("url", None),
        ("url", "https://example.com/" + "x" * 2_000),
        ("types", []),
        ("types", ["batch.unknown"]),
        ("types", ["webhook.test"]),
        ("types", "batch.paused"),
        ("format", "xml"),
        ("description", "x" * 1_001),
        ("enabled", True),
    ],
)
def test_422_names_the_field(client: ApiClient, field: str, value: Any) -> None:
    assert field in refused(client.post("/api/webhooks", json={**BODY, field: value}), 422)["errors"]


def test_422_openai_has_four_types(client: ApiClient) -> None:
    wrong = {**BODY, "format": "openai", "types": ["batch.paused"]}
    assert "types" in refused(client.post("/api/webhooks", json=wrong), 422)["errors"]
    made = make(client, format="openai")
    refused(client.patch(f"/api/webhooks/{made['id']}", json={"types": ["batch.paused"]}), 422)


def test_of_the_format_apprise(client: ApiClient, service: Services) -> None:
    """Contract 5: digests have no secret that signs; of the URL only its schema and its host are shown."""
    with running_receiver() as receiver:
        url = f"json://night:s3cret@127.0.0.1:{receiver.port}/t0ken"
        answer = client.post("/api/webhooks", json={**BODY, "format": "apprise", "url": url})
        made = answered(answer, 201)
        path = answer.headers["Location"]
        assert {name: made[name] for name in ("url", "format", "digest_minutes", "secrets")} == {
            "url": "json://127.0.0.1/...", "format": "apprise", "digest_minutes": 5, "secrets": 0,
        }  # fmt: skip
        assert "secret" not in made
        assert answered(client.patch(path, json={"digest_minutes": 60}))["digest_minutes"] == 60
        tried = answered(client.post(f"{path}/test"))
        assert (tried["delivered"], tried["http_status"], tried["error"]) == (True, None, None)
        assert receiver.received[0].path == "/t0ken"
    assert "secret" in refused(client.post(f"{path}/rotate"), 422)["detail"]
    shown = "".join(client.get(each).text for each in (path, "/api/webhooks", f"{path}/deliveries"))
    for secret in ("s3cret", "t0ken"):
        assert secret not in answer.text + shown


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("digest_minutes", {"digest_minutes": 5}),
        ("digest_minutes", {"format": "apprise", "url": "json://example.com/", "digest_minutes": 0}),
        ("digest_minutes", {"format": "apprise", "url": "json://example.com/", "digest_minutes": 1_441}),
        ("digest_minutes", {"format": "apprise", "url": "json://example.com/", "digest_minutes": "5"}),
        ("url", {"format": "apprise"}),
        ("url", {"format": "apprise", "url": "json://10.0.0.1/"}),
        ("url", {"format": "apprise", "url": "slack://none"}),
        ("url", {"format": "standard", "url": "json://example.com/"}),
    ],
)
def test_422_of_the_format_apprise(client: ApiClient, field: str, body: dict[str, Any]) -> None:
    assert field in refused(client.post("/api/webhooks", json={**BODY, **body}), 422)["errors"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message_ids": []},
        {"message_ids": ["a"], "since": "2026-01-01T00:00:00Z"},
        {"until": "2026-01-01T00:00:00Z"},
        {"since": "yesterday"},
    ],
)
def test_422_a_replay_of_nothing(client: ApiClient, body: dict[str, Any]) -> None:
    path = f"/api/webhooks/{make(client)['id']}/replay"
    assert {"message_ids", "since"} & set(refused(client.post(path, json=body), 422)["errors"])


def test_sent_tested_rotated_listed_and_replayed(client: ApiClient, service: Services) -> None:
    with running_receiver() as receiver:
        made = make(client, url=receiver.url, types=["batch.state_changed"])
        path = f"/api/webhooks/{made['id']}"
        tried = answered(client.post(f"{path}/test"))
        assert (tried["delivered"], tried["http_status"], tried["error"]) == (True, 204, None)
        assert tried["duration_ms"] >= 0
        new = answered(client.post(f"{path}/rotate"))
        assert new["secrets"] == 2
        batch_id = create(client)["id"]
        answered(ask(client, batch_id, "stage"))
        service.sweeper.sweep()
        (sent,) = receiver.received[1:]
        for secret in (made["secret"], new["secret"]):
            StandardWebhook(secret).verify(sent.body, dict(sent.headers))
        page = answered(client.get(f"{path}/deliveries?status=DELIVERED&limit=1"))
        (delivery,) = page["deliveries"]
        assert (delivery["message_id"], delivery["tries"]) == (f"msg_{batch_id}_2", 1)
        assert delivery["body"] == json.loads(sent.body)
        assert answered(client.get(f"{path}/deliveries?status=FAILED"))["deliveries"] == []
        assert answered(client.post(f"{path}/replay", json={"message_ids": [sent.id]})) == {"replayed": 1}
        service.sweeper.sweep()
        assert receiver.ids[-2:] == [sent.id, sent.id]


def test_503_while_two_are_tested(client: ApiClient, service: Services) -> None:
    path = f"/api/webhooks/{make(client)['id']}/test"
    tests = service.webhooks._tests
    with tests, tests:
        assert refused(client.post(path), 503)["code"] == "busy"
