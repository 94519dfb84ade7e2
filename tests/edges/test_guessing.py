"""Wrong tokens on the sign-in page are throttled and logged; refused roles and changes of tokens are logged."""

from typing import Any

import pytest
from flask import Flask
from structlog.testing import capture_logs

from tests.support import signing_in
from tests.support.client import ApiClient
from tests.ui.visits import forge_proof, visitor

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TRIES = 14


def events(logged: list[Any], name: str) -> list[Any]:
    return [entry for entry in logged if entry["event"] == name]


def test_wrong_tokens_are_throttled_and_logged(app: Flask, tokens: dict[str, str]) -> None:
    guesser, other = app.test_client(), app.test_client()
    proof = forge_proof(guesser)
    with capture_logs() as logged:
        guesses = [guesser.post("/sign-in", data={"csrf_token": proof, "token": f"no {n}"}) for n in range(TRIES)]
        right = guesser.post("/sign-in", data={"csrf_token": proof, "token": tokens["admin"]})
    assert [each.status_code for each in guesses] == [401] * 10 + [429] * (TRIES - 10)
    assert right.status_code == 429
    assert 1 <= int(right.headers["Retry-After"]) <= 60
    failed = events(logged, "sign_in_failed")
    assert (len(failed), len(events(logged, "sign_in_throttled"))) == (10, TRIES - 10 + 1)
    assert "no 1" not in str(logged)
    other.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    form = signing_in.form_of(other.get("/sign-in").text, tokens["admin"])
    assert other.post("/sign-in", data=form).status_code == 303


def test_refused_roles_are_logged(app: Flask, client: ApiClient, tokens: dict[str, str]) -> None:
    viewer = visitor(app, tokens, "viewer")
    with capture_logs() as logged:
        assert viewer.get("/tokens", headers={"Accept": "text/html"}).status_code == 403
        assert client.acting_as("viewer").get("/api/tokens").status_code == 403
    found = [(entry["path"], entry["actor"], entry["role"]) for entry in events(logged, "forbidden")]
    assert found == [("/tokens", "a viewer", "viewer"), ("/api/tokens", "a viewer", "viewer")]


def test_tokens_made_and_revoked_are_logged(app: Flask, client: ApiClient, tokens: dict[str, str]) -> None:
    admin = visitor(app, tokens, "admin")
    with capture_logs() as logged:
        made = client.post("/api/tokens", json={"name": "one", "role": "viewer"}).json
        admin.post("/tokens", data={"name": "two", "role": "worker"})
        admin.post(f"/tokens/{made['id']}/revoke")
        client.delete(f"/api/tokens/{made['id'] + 1}")
    found = [(entry["name"], entry["role"], entry["actor"]) for entry in events(logged, "token_created")]
    assert found == [("one", "viewer", "a admin"), ("two", "worker", "a admin")]
    assert [entry["token_id"] for entry in events(logged, "token_revoked")] == [made["id"], made["id"] + 1]
    assert made["token"] not in str(logged)
