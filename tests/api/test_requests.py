"""Requests that meet a locked batch: 202, GET /api/requests/<id>, GET /api/batches/<id>/requests."""

from datetime import datetime
from typing import Any

import psycopg2
import pytest
from werkzeug.test import TestResponse

from app.services import Services
from tests.api.lives import act, answered, ask, audit, bring, create, finish_all, refused, show
from tests.support.client import ApiClient
from tests.support.row_locks import HoldRow


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """PostgreSQL alone: SQLite has no row locks, and there no request is ever queued."""
    url: str = request.getfixturevalue("postgres_url")
    return url


def queued(answer: TestResponse) -> str:
    """Assert that a request waits in line; return its id."""
    body = answered(answer, 202)
    assert body["success"] is None
    assert body["status"] == "QUEUED"
    assert answer.headers["Location"] == f"/api/requests/{body['request_id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    request_id: str = body["request_id"]
    return request_id


def request_of(client: ApiClient, request_id: str) -> dict[str, Any]:
    return answered(client.get(f"/api/requests/{request_id}"))


def test_queued_and_applied(client: ApiClient, service: Services, hold_row: HoldRow) -> None:
    """Contract 4 and 5: 202 while the row is locked; applied when it is free, as the caller's own change."""
    operator = client.acting_as("operator")
    batch = create(client)
    with hold_row(batch["id"]):
        answer = ask(operator, batch["id"], "stage", context={"reason": "in line"})
        request_id = queued(answer)
        assert answer.json["queue_position"] == 1
        service.sweeper.sweep()
        waiting = request_of(client, request_id)
        assert waiting["status"] == "QUEUED"
        assert (waiting["reason"], waiting["version"], waiting["finished_at"]) == (None, None, None)
        assert (waiting["batch_id"], waiting["action"]) == (batch["id"], "stage")
        assert show(client, batch["id"]) == batch
    service.sweeper.sweep()
    applied = request_of(client, request_id)
    assert (applied["status"], applied["version"], applied["reason"]) == ("APPLIED", 2, None)
    assert datetime.fromisoformat(applied["finished_at"]) >= datetime.fromisoformat(applied["created_at"])
    row = audit(client, batch["id"])[-1]
    assert (row["trigger"], row["actor"], row["role"], row["reason"]) == ("stage", "a operator", "operator", "in line")
    assert row["request_id"] == request_id
    listed = answered(client.get(f"/api/batches/{batch['id']}/requests"))["requests"]
    assert [each["id"] for each in listed] == [request_id]
    assert {k: v for k, v in applied.items() if k != "queue_position"} == listed[0]
    assert applied.keys() >= {
        "id",
        "batch_id",
        "action",
        "status",
        "reason",
        "version",
        "created_at",
        "finished_at",
    }


def test_refused_at_its_turn(client: ApiClient, service: Services, hold_row: HoldRow) -> None:
    """Contract 4: each is judged anew at its turn: what was possible when it came may not be then."""
    batch = create(client)
    with hold_row(batch["id"]):
        first = queued(ask(client, batch["id"], "stage"))
        second = queued(ask(client, batch["id"], "stage"))
        third = queued(ask(client, batch["id"], "pause"))
        positions = [request_of(client, each)["queue_position"] for each in (first, second, third)]
        assert positions == [1, 2, 3]
    service.sweeper.sweep()
    seen = [request_of(client, each) for each in (first, second, third)]
    assert [each["status"] for each in seen] == ["APPLIED", "REFUSED", "REFUSED"]
    assert "STAGING" in seen[1]["reason"]
    assert [each["queue_position"] for each in seen] == [None, None, None]
    assert show(client, batch["id"])["version"] == 2


def test_in_the_order_they_came(client: ApiClient, service: Services, hold_row: HoldRow) -> None:
    """Contract 4: queued requests of a batch are applied in the order they came."""
    batch = bring(client, "ANALYZING")
    with hold_row(batch["id"]):
        ids = [queued(ask(client, batch["id"], action)) for action in ("pause", "resume", "pause", "cancel")]
    service.sweeper.sweep()
    rows = audit(client, batch["id"])[batch["version"] :]
    assert [row["trigger"] for row in rows] == ["pause", "resume", "pause", "cancel"]
    assert [row["request_id"] for row in rows] == ids
    assert [request_of(client, each)["version"] for each in ids] == [row["version"] for row in rows]


def test_a_new_request_does_not_overtake(client: ApiClient, hold_row: HoldRow) -> None:
    """Contract 4: those that wait are applied first under the same lock (200), or it waits behind them (202)."""
    batch = bring(client, "STAGED")
    with hold_row(batch["id"]):
        request_id = queued(ask(client, batch["id"], "run"))
    body = answered(ask(client, batch["id"], "pause"))
    assert (body["previous_state"], body["new_state"]) == ("ANALYZING", "PAUSED")
    assert request_of(client, request_id)["status"] == "APPLIED"
    assert [row["trigger"] for row in audit(client, batch["id"])[-2:]] == ["run", "pause"]


def test_its_if_match_is_judged_at_its_turn(client: ApiClient, service: Services, hold_row: HoldRow) -> None:
    """Contract 4: each is judged anew at its turn, its If-Match too."""
    batch = bring(client, "STAGED")
    path = f"/api/batches/{batch['id']}/action"
    etag = {"If-Match": f'"{batch["version"]}"'}
    with hold_row(batch["id"]):
        matching = queued(client.post(path, json={"action": "run"}, headers=etag))
        stale = queued(client.post(path, json={"action": "pause"}, headers=etag))
    service.sweeper.sweep()
    assert request_of(client, matching)["status"] == "APPLIED"
    refused_one = request_of(client, stale)
    assert refused_one["status"] == "REFUSED"
    assert "version" in refused_one["reason"]
    assert show(client, batch["id"])["state"] == "ANALYZING"


def test_expired(client: ApiClient, service: Services, hold_row: HoldRow, postgres_url: str) -> None:
    """Contract 4: never applied later than REQUEST_TTL_S; then EXPIRED, locked or free."""
    batch = create(client)
    with hold_row(batch["id"]):
        ids = [queued(ask(client, batch["id"], "stage")) for _ in range(2)]
        with psycopg2.connect(postgres_url) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE state_change_requests SET expires_at = now() WHERE id = %s", (ids[0],))
        connection.close()
        service.sweeper.sweep()
        expired = request_of(client, ids[0])
        assert expired["status"] == "EXPIRED"
        assert expired["reason"]
        assert expired["finished_at"]
        assert request_of(client, ids[1])["status"] == "QUEUED"
        with psycopg2.connect(postgres_url) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE state_change_requests SET expires_at = now() WHERE id = %s", (ids[1],))
        connection.close()
    # Free again, but its time is up: the next one that holds the lock must not apply it.
    assert answered(ask(client, batch["id"], "reset"))["new_state"] == "SAVED"
    assert request_of(client, ids[1])["status"] == "EXPIRED"
    assert [row["trigger"] for row in audit(client, batch["id"])] == ["create", "reset"]


def test_a_ttl_of_sixty_seconds(client: ApiClient, hold_row: HoldRow) -> None:
    """Contract 4: REQUEST_TTL_S defaults to 60."""
    batch = create(client)
    with hold_row(batch["id"]):
        request = request_of(client, queued(ask(client, batch["id"], "stage")))
    lives = datetime.fromisoformat(request["expires_at"]) - datetime.fromisoformat(request["created_at"])
    assert lives.total_seconds() == 60


def test_what_needs_no_lock_is_answered_at_once(client: ApiClient, hold_row: HoldRow) -> None:
    """Contract 5: an unknown action is 422, a bad If-Match 422 and a dry run 200, locked or not."""
    batch = create(client)
    path = f"/api/batches/{batch['id']}/action"
    with hold_row(batch["id"]):
        refused(ask(client, batch["id"], "start"), 422)
        refused(client.post(path, json={"action": "stage"}, headers={"If-Match": "1"}), 422)
        assert answered(ask(client, batch["id"], "stage", dry_run=True))["new_state"] == "STAGING"
    assert answered(client.get(f"/api/batches/{batch['id']}/requests"))["requests"] == []


def test_a_batch_that_is_archived_before_its_turn(client: ApiClient, service: Services, hold_row: HoldRow) -> None:
    """Contract 4: each is judged anew at its turn; nothing waits for ever for a batch that is gone."""
    batch = create(client)
    with hold_row(batch["id"]):
        first = queued(ask(client, batch["id"], "reset"))
    assert client.delete(f"/api/batches/{batch['id']}").status_code == 204
    service.sweeper.sweep()
    assert request_of(client, first)["status"] == "APPLIED"  # it came before the archiving


def test_queued_with_an_idempotency_key(client: ApiClient, service: Services, hold_row: HoldRow) -> None:
    """Contract 4: the same key gets the first answer again, 202 and its Location, and queues nothing twice."""
    batch = create(client)
    path, headers = f"/api/batches/{batch['id']}/action", {"Idempotency-Key": "k"}
    with hold_row(batch["id"]):
        first = client.post(path, json={"action": "stage"}, headers=headers)
        queued(first)
        again = client.post(path, json={"action": "stage"}, headers=headers)
    assert (again.status_code, again.data, again.headers["Location"]) == (202, first.data, first.headers["Location"])
    assert again.headers["Idempotency-Replayed"] == "true"
    service.sweeper.sweep()
    assert len(answered(client.get(f"/api/batches/{batch['id']}/requests"))["requests"]) == 1
    late = client.post(path, json={"action": "stage"}, headers=headers)
    assert (late.status_code, late.data) == (202, first.data)


def test_reports_of_a_locked_batch_count(client: ApiClient, service: Services, hold_row: HoldRow) -> None:
    """Contract 4: a report is stored and answered; the event it sets off follows within a second of the lock's end."""
    batch = bring(client, "ANALYZING")
    with hold_row(batch["id"]):
        finish_all(client, batch["id"])
        assert show(client, batch["id"])["state"] == "ANALYZING"
        assert show(client, batch["id"])["progress"]["analysis"]["completed"] == 2
    service.sweeper.sweep()
    assert show(client, batch["id"])["state"] == "COMPLETED"


def test_actions_of_other_batches_do_not_wait(client: ApiClient, hold_row: HoldRow) -> None:
    """Contract 4: it is the batch's row that is locked."""
    held, other = create(client), create(client)
    with hold_row(held["id"]):
        assert act(client, other["id"], "stage")["state"] == "STAGING"


def test_the_list_is_paged(client: ApiClient, hold_row: HoldRow) -> None:
    """Contract 5: lists have cursor pagination; requests come in the order they came."""
    batch = bring(client, "ANALYZING")
    with hold_row(batch["id"]):
        ids = [queued(ask(client, batch["id"], action)) for action in ("pause", "resume", "pause")]
    seen, cursor = [], ""
    while cursor is not None:
        body = answered(client.get(f"/api/batches/{batch['id']}/requests?limit=2{cursor}"))
        seen += [each["id"] for each in body["requests"]]
        cursor = f"&cursor={body['next_cursor']}" if body["next_cursor"] else None
    assert seen == ids
    act(client, batch["id"], "resume")  # takes those that wait first
