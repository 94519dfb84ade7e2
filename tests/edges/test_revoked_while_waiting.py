"""A token that is revoked while a call waits or a stream is open: the call ends, and leases nothing more."""

import threading
from typing import Any

import pytest
from flask import Flask

from app.services import Services
from app.services.queue.known_work import KnownWork
from app.web import streams
from tests.services.stories import bring
from tests.support.client import ApiClient, api_client
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.ui.visits import visitor

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def revoke(client: ApiClient, role: str) -> None:
    (token_id,) = [row["id"] for row in client.get("/api/tokens").json["tokens"] if row["role"] == role]
    assert client.delete(f"/api/tokens/{token_id}").status_code == 204


def test_a_long_poll_ends(app: Flask, client: ApiClient, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    looks: list[bool] = []
    real = KnownWork.find

    def find(*args: Any) -> Any:
        looks.append(True)
        return real(*args)

    monkeypatch.setattr(KnownWork, "find", find)
    worker = api_client(app, client.tokens, "worker")
    body = {"worker": "w", "wait_seconds": 30}
    waiting = threading.Thread(target=lambda: found.append(worker.post("/api/tasks/lease", json=body)))
    waiting.start()
    wait_until(lambda: len(looks) > 4)
    revoke(client, "worker")
    wait_until(lambda: found)
    waiting.join(LIMIT_SECONDS)
    assert (found[0].status_code, found[0].json["code"]) == (401, "unauthenticated")


def test_it_leases_nothing_more(app: Flask, client: ApiClient, services: Services) -> None:
    asked: list[bool] = []

    def is_allowed() -> bool:
        if not asked:
            bring(services, "ANALYZING")  # work comes, and the token has been revoked
        asked.append(True)
        return False

    with pytest.raises(Exception, match="revoked"):
        services.queue.lease("w", wait_seconds=30, is_allowed=is_allowed)
    assert services.queue.lease("w", max_tasks=10).tasks


@pytest.mark.parametrize("path", ["/api/events", "/live"])
def test_a_stream_ends(app: Flask, client: ApiClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STREAM_SECONDS", 3600.0)
    reader: Any = client.acting_as("viewer") if path.startswith("/api") else visitor(app, client.tokens, "viewer")
    parts = reader.get(path, buffered=False).response
    assert b"retry" in next(parts)
    revoke(client, "viewer")
    list(parts)  # it ends
    assert reader.get(path, headers={"Accept": "text/event-stream"}).status_code == 401
