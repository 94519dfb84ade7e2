"""POST, GET and DELETE /api/tokens, and what a token is good for."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app import create_app
from app.services import Services
from app.services.access import tokens as token_store
from config import Config
from tests.api.lives import answered, refused
from tests.support.client import ApiClient, api_client
from tests.support.server import ROLES

PROBES = {
    "viewer": ("GET", "/api/batches", None),
    "operator": ("POST", "/api/batches", {"name": "n"}),
    "worker": ("POST", "/api/tasks/lease", {"worker": "w"}),
    "admin": ("GET", "/api/tokens", None),
}


def make(client: ApiClient, name: str = "ci", role: str = "viewer", **more: Any) -> dict[str, Any]:
    return answered(client.post("/api/tokens", json={"name": name, "role": role, **more}), 201)


def status_with(app: Flask, secret: str, path: str = "/api/batches") -> int:
    return app.test_client().get(path, headers={"Authorization": f"Bearer {secret}"}).status_code


@pytest.mark.parametrize("role", ROLES)
def test_created_and_valid_for_its_role(client: ApiClient, role: str) -> None:
    """Contract 5: 201, the secret in `token`; it is valid at once, as its role and name."""
    answer = client.post("/api/tokens", json={"name": "ci", "role": role})
    made = answered(answer, 201)
    assert answer.headers["Location"] == f"/api/tokens/{made['id']}"
    secret = made["token"]
    assert len(secret) >= 40
    assert {key: made[key] for key in ("name", "role", "expires_at")} == {
        "name": "ci",
        "role": role,
        "expires_at": None,
    }
    method, path, body = PROBES[role]
    caller = api_client(client.application, {role: secret}, role)
    assert caller.open(path, method=method, **({"json": body} if body else {})).status_code in (200, 201)


def test_the_secret_is_shown_once(client: ApiClient, service: Services) -> None:
    """Contract 5: shown once; tokens are stored hashed."""
    made = make(client)
    listing = client.get("/api/tokens")
    assert made["token"] not in listing.text
    row = next(each for each in listing.json["tokens"] if each["id"] == made["id"])
    assert row == {key: value for key, value in made.items() if key != "token"}
    with service.engine.connect() as connection:
        stored = connection.execute(text("SELECT * FROM api_tokens")).all()
    assert made["token"] not in str(stored)


def test_listed_in_pages(client: ApiClient) -> None:
    """Contract 5: `GET /api/tokens`; lists have cursor pagination."""
    made = [make(client, name=f"t{number}")["id"] for number in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        body = answered(client.get(f"/api/tokens?limit=2{cursor}"))
        assert len(body["tokens"]) <= 2
        seen += [each["id"] for each in body["tokens"]]
        cursor = f"&cursor={body['next_cursor']}" if body["next_cursor"] else None
    assert seen[-5:] == made
    assert len(seen) == len(set(seen)) == 5 + len(ROLES)


class TestRevoked:
    def test_refused_from_then_on(self, client: ApiClient) -> None:
        """Contract 5: 204; within a second the token is refused."""
        made = make(client)
        assert status_with(client.application, made["token"]) == 200
        answer = client.delete(f"/api/tokens/{made['id']}")
        assert (answer.status_code, answer.data) == (204, b"")
        assert status_with(client.application, made["token"]) == 401
        assert made["id"] not in [each["id"] for each in client.get("/api/tokens").json["tokens"]]

    @pytest.fixture
    def other_process(self, config: Config) -> Iterator[Flask]:
        made = create_app(config)
        yield made
        made.extensions["interlock"].engine.dispose()

    def test_in_every_process(self, client: ApiClient, other_process: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        """Contract 5: within a second every process refuses it: no process remembers a token for longer."""
        made = make(client)
        assert status_with(other_process, made["token"]) == 200
        client.delete(f"/api/tokens/{made['id']}")
        now = time.monotonic
        monkeypatch.setattr(token_store.time, "monotonic", lambda: now() + 1.0)
        assert status_with(other_process, made["token"]) == 401

    def test_its_name_is_free_again(self, client: ApiClient) -> None:
        """One caller has a name at a time: after the revocation another may have it."""
        made = make(client)
        assert "name" in refused(client.post("/api/tokens", json={"name": "ci", "role": "viewer"}), 422)["errors"]
        client.delete(f"/api/tokens/{made['id']}")
        again = make(client)
        assert again["id"] != made["id"]
        assert status_with(client.application, again["token"]) == 200
        assert status_with(client.application, made["token"]) == 401

    def test_404_an_unknown_token(self, client: ApiClient) -> None:
        """Contract 5: revoking a token a second time is 404, and so is an unknown id."""
        made = make(client)
        client.delete(f"/api/tokens/{made['id']}")
        refused(client.delete(f"/api/tokens/{made['id']}"), 404)
        refused(client.delete("/api/tokens/999999"), 404)

    def test_an_admin_may_revoke_their_own_token(self, client: ApiClient) -> None:
        """Admins manage all tokens, including their own."""
        mine = next(each for each in client.get("/api/tokens").json["tokens"] if each["name"] == "a admin")
        assert client.delete(f"/api/tokens/{mine['id']}").status_code == 204
        refused(client.get("/api/tokens"), 401)


class TestExpiry:
    def test_until_then_and_no_longer(
        self, client: ApiClient, service: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Contract 5: `"expires_at"?`: valid until then; 401 afterwards."""
        expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        made = make(client, expires_at=expires_at)
        assert datetime.fromisoformat(made["expires_at"]) == datetime.fromisoformat(expires_at)
        assert made["expires_at"].endswith("Z")
        assert status_with(client.application, made["token"]) == 200
        with service.engine.begin() as connection:
            connection.execute(
                text("UPDATE api_tokens SET expires_at = '2020-01-01 00:00:00.000000' WHERE name = 'ci'")
            )
        now = time.monotonic
        monkeypatch.setattr(token_store.time, "monotonic", lambda: now() + 1.0)
        assert status_with(client.application, made["token"]) == 401

    def test_in_any_zone(self, client: ApiClient) -> None:
        """Contract 5: times in RFC 3339; they are answered in UTC."""
        assert make(client, expires_at="2999-01-01T02:00:00+02:00")["expires_at"] == "2999-01-01T00:00:00Z"
        assert make(client, name="z", expires_at="2999-01-01T00:00:00Z")["expires_at"] == "2999-01-01T00:00:00Z"
        assert make(client, name="n", expires_at=None)["expires_at"] is None

    @pytest.mark.parametrize(
        "expires_at",
        ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00", "tomorrow", "", 1, True, "9999-12-31T23:59:59-23:59", "2999"],
    )
    def test_422_an_invalid_time(self, same_client: ApiClient, expires_at: Any) -> None:
        """Contract 5: an expiry in the past, without a time zone, or not a time is 422."""
        body = {"name": "ci", "role": "viewer", "expires_at": expires_at}
        assert "expires_at" in refused(same_client.post("/api/tokens", json=body), 422)["errors"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 101),
        ("name", "a\0b"),
        ("name", 1),
        ("name", "admin"),
        ("name", "system"),
        ("name", "system:sweeper"),
        ("role", "root"),
        ("role", "Admin"),
        ("role", ""),
        ("role", None),
        ("role", ["admin"]),
    ],
)
def test_422_names_the_field(same_client: ApiClient, field: str, value: Any) -> None:
    """Contract 5: 422 names the field; the names of the service itself are reserved."""
    body = {"name": "ci", "role": "viewer", field: value}
    assert field in refused(same_client.post("/api/tokens", json=body), 422)["errors"]


def test_the_admins_token_of_the_settings(config: Config, client: ApiClient) -> None:
    """Contract 6: ADMIN_TOKEN is valid as admin from the start; it is in no table."""
    app = create_app(replace(config, admin_token="from the environment"))
    try:
        caller = api_client(app, {"admin": "from the environment"})
        rows = answered(caller.get("/api/tokens"))["tokens"]
        assert len(rows) == len(ROLES)
        batch = answered(caller.post("/api/batches", json={"name": "n"}), 201)
        audit = answered(caller.get(f"/api/batches/{batch['id']}/audit"))["audit"]
        assert (audit[0]["actor"], audit[0]["role"]) == ("admin", "admin")
    finally:
        app.extensions["interlock"].engine.dispose()
    assert status_with(client.application, "from the environment") == 401
