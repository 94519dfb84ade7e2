"""Idempotency-Key while the first call is still being decided, and after it came to nothing."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from app.services import Services
from app.services.batch.batch_service import BatchService
from tests.api.lives import audit, create, refused, replayed, show
from tests.support.client import ApiClient
from tests.support.row_locks import HoldRow
from tests.support.waiting import LIMIT_SECONDS

KEY = {"Idempotency-Key": "one"}


class TestInFlight:
    """Contract 4: while the first is still being decided, 409."""

    def test_409_in_flight(self, client: ApiClient, service: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two calls at once: one effect; the second has to wait, and later gets the answer of the first."""
        batch = create(client)
        path, body = f"/api/batches/{batch['id']}/action", {"action": "stage"}
        inside, go_on = threading.Event(), threading.Event()
        decide: Callable[..., Any] = BatchService.decide

        def slow(self: BatchService, *args: Any) -> Any:
            inside.set()
            assert go_on.wait(LIMIT_SECONDS)
            return decide(self, *args)

        monkeypatch.setattr(BatchService, "decide", slow)
        answers: list[Any] = []
        other = client.acting_as("admin")
        thread = threading.Thread(target=lambda: answers.append(other.post(path, json=body, headers=KEY)))
        thread.start()
        try:
            assert inside.wait(LIMIT_SECONDS)
            waiting = client.post(path, json=body, headers=KEY)
            assert refused(waiting, 409)["code"] == "idempotency_key_in_use"
            assert int(waiting.headers["Retry-After"]) >= 1
        finally:
            go_on.set()
            thread.join(LIMIT_SECONDS)
        assert answers[0].status_code == 200
        replayed(client.post(path, json=body, headers=KEY), answers[0])
        assert len(audit(client, batch["id"])) == 2

    def test_a_claim_of_a_dead_process_is_taken_over(self, client: ApiClient, service: Services) -> None:
        """A process that died before its answer has had no effect; its key does not stay taken for a day."""
        path, body = "/api/batches", {"name": "n"}
        first = client.post(path, json=body, headers=KEY)
        with service.engine.begin() as connection:
            connection.execute(text("UPDATE idempotency_keys SET status = NULL, headers = NULL, body = NULL"))
        refused(client.post(path, json=body, headers=KEY), 409)
        minutes = "claimed_at - interval '3 minutes'"
        if service.engine.dialect.name == "sqlite":
            minutes = "strftime('%Y-%m-%d %H:%M:%f000', claimed_at, '-3 minutes')"
        with service.engine.begin() as connection:
            connection.execute(text(f"UPDATE idempotency_keys SET claimed_at = {minutes}"))
        again = client.post(path, json=body, headers=KEY)
        assert again.status_code == 201
        assert again.json["id"] != first.json["id"]

    def test_a_fault_frees_the_key(self, client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing was decided by a 5xx: the same key may try again, and what was begun is undone."""

        def broken(*_: Any) -> None:
            raise RuntimeError("the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr("app.services.input.new_documents.NewDocuments.store", broken)
            refused(client.post("/api/batches", json={"name": "n"}, headers=KEY), 500)
        assert client.get("/api/batches").json["batches"] == []
        again = client.post("/api/batches", json={"name": "n"}, headers=KEY)
        assert again.status_code == 201
        assert "Idempotency-Replayed" not in again.headers

    def test_the_answer_is_kept_with_its_effect(
        self, client: ApiClient, service: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Contract 4: an effect whose answer cannot be kept does not happen: both are one transaction."""
        from app.services.access.idempotency import Claim

        def broken(*_: Any) -> None:
            raise RuntimeError("the disk is full")

        batch = create(client)
        path = f"/api/batches/{batch['id']}/action"
        with monkeypatch.context() as patched:
            patched.setattr(Claim, "store", broken)
            refused(client.post(path, json={"action": "stage"}, headers=KEY), 500)
        assert show(client, batch["id"]) == batch
        assert client.post(path, json={"action": "stage"}, headers=KEY).status_code == 200


class TestLockedFromOutside:
    """PostgreSQL alone: SQLite has no row locks."""

    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url

    def test_503_frees_the_key(self, client: ApiClient, hold_row: HoldRow) -> None:
        """Contract 4: edits answer 503 while somebody holds the row; the same key does it afterwards."""
        batch = create(client, documents=0)
        path, body = f"/api/batches/{batch['id']}/documents", {"documents": [{"name": "a", "text": "x"}]}
        with hold_row(batch["id"]):
            refused(client.post(path, json=body, headers=KEY), 503)
        assert client.post(path, json=body, headers=KEY).status_code == 201
        assert show(client, batch["id"])["input"]["documents"] == 1
