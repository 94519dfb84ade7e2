"""What has a term: finished requests and revoked tokens are deleted 30 days later, and nothing younger is."""

from datetime import timedelta

from sqlalchemy import update

from app import db
from app.db import transaction
from app.models import ApiToken, Base, StateChangeRequest
from app.services import Services
from app.services.batch import request_queue
from app.services.batch.orders import Order
from tests.services.stories import create, rows_of
from tests.support.client import ApiClient

DAYS = timedelta(days=1)


def grow_older(services: Services, model: type[Base], column: str, days: float) -> None:
    """Move a time of all rows of a table into the past."""
    table = db.table_of(model)
    with transaction(services.engine) as connection:
        connection.execute(update(table).values({column: db.now(connection) - days * DAYS}))


def expired_request(services: Services, batch_id: int) -> str:
    with transaction(services.engine) as connection:
        queued = request_queue.enqueue(connection, batch_id, "reset", Order(), ttl_s=-1)
        request_queue.expire(connection)
    return str(queued["request_id"])


def sweep(services: Services) -> None:
    services.sweeper._deleted_at = -1e9
    services.sweeper.sweep()


def test_a_finished_request_is_deleted_after_its_term(services: Services, client: ApiClient) -> None:
    batch_id = create(services)
    old = expired_request(services, batch_id)
    grow_older(services, StateChangeRequest, "finished_at", 30.1)
    young = expired_request(services, batch_id)
    sweep(services)
    assert client.get(f"/api/requests/{old}").status_code == 404
    assert client.get(f"/api/requests/{young}").json["status"] == "EXPIRED"


def test_a_request_that_waits_is_never_deleted(services: Services) -> None:
    batch_id = create(services)
    with transaction(services.engine) as connection:
        request_queue.enqueue(connection, batch_id, "reset", Order(), ttl_s=60)
        assert request_queue.forget_old(connection) == 0
    assert [row.status for row in rows_of(services, StateChangeRequest)] == ["QUEUED"]


def test_requests_are_deleted_in_slices(services: Services, monkeypatch) -> None:
    batch_id = create(services)
    for _ in range(3):
        expired_request(services, batch_id)
    grow_older(services, StateChangeRequest, "finished_at", 31)
    with transaction(services.engine) as connection:
        assert request_queue.forget_old(connection) == 3
        assert request_queue.forget_old(connection) == 0


def test_a_revoked_token_is_deleted_after_its_term_and_its_name_stays_in_the_trail(
    services: Services, client: ApiClient
) -> None:
    made = services.tokens.create("jane", "operator")
    answer = client.post("/api/batches", json={"name": "b"}, headers={"Authorization": f"Bearer {made['token']}"})
    services.tokens.revoke(made["id"])
    grow_older(services, ApiToken, "created_at", 90)
    with transaction(services.engine) as connection:
        revoked = db.table_of(ApiToken)
        where = update(revoked).where(revoked.c.revoked_at.is_not(None))
        connection.execute(where.values(revoked_at=db.now(connection) - 30.1 * DAYS))
    services.tokens.revoke(services.tokens.create("joe", "viewer")["id"])
    sweep(services)
    names = {row.name for row in rows_of(services, ApiToken)}
    assert "jane" not in names
    assert {"joe", "a viewer", "a worker"} <= names
    trail = client.get(f"/api/batches/{answer.json['id']}/audit").json["audit"]
    assert [row["actor"] for row in trail] == ["jane"]
