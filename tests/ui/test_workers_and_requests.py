"""The pages of workers and requests: what they show, and that they ask the database little, however much there is."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from app import db
from app.db import transaction
from app.models import StateChangeRequest, WorkerSighting
from app.services import Services
from app.services.queue import worker_sightings
from app.services.reads import workers
from app.services.reads.workers import MOST_WORKERS
from tests.services import stories
from tests.support.client import ApiClient
from tests.support.statements import counted
from tests.support.waiting import wait_until
from tests.ui.visits import read, words

MOST_QUERIES = 7


def worked(client: ApiClient) -> list[dict[str, Any]]:
    """Let one worker fail a task and hold another."""
    documents = [{"name": f"{number}.txt", "text": f"text {number}"} for number in range(3)]
    prompt, model = {"name": "p", "text": "say"}, {"connection": "c", "model": "m"}
    body = {"name": "b", "documents": documents, "prompts": [prompt], "models": [model]}
    batch_id = client.post("/api/batches", json=body).json["id"]
    client.post(f"/api/batches/{batch_id}/action", json={"action": "stage"})
    worker = client.acting_as("worker")
    leased: list[dict[str, Any]] = worker.post("/api/tasks/lease", json={"worker": "w-1", "max_tasks": 3}).json["tasks"]
    first, second, _ = leased
    fail = {"lease_token": first["lease_token"], "error": {"code": "unreadable", "message": "torn"}, "retryable": False}
    assert (
        worker.post(
            f"/api/tasks/{second['id']}/complete", json={"lease_token": second["lease_token"], "result": {"text": "x"}}
        ).status_code
        == 200
    )
    assert worker.post(f"/api/tasks/{first['id']}/fail", json=fail).status_code == 200
    return leased


def test_a_worker_that_only_sends_heartbeats_is_told_from_one_that_works(
    client: ApiClient, service: Services, viewer: FlaskClient
) -> None:
    worked(client)
    service.sightings.write()
    assert "only heartbeats" not in viewer.get("/workers").text
    with transaction(service.engine) as connection:
        long_ago = db.now(connection) - timedelta(minutes=20)
        connection.execute(update(WorkerSighting).values(last_work_at=long_ago))
    service.sightings.renewed(["w-1", "w-1"])
    service.sightings.write()
    page = read(viewer, "/workers")
    (row,) = page.xpath("//table[@class='workers']/tbody/tr")
    assert "only heartbeats for 20 min" in words(row)
    assert "everything" in words(row)


def test_a_worker_is_shown_with_what_it_did_and_holds(
    client: ApiClient, service: Services, viewer: FlaskClient
) -> None:
    leased = worked(client)
    service.sightings.write()
    found = service.reads.workers.seen()
    (worker,) = found["workers"]
    assert (worker["worker"], worker["leased"], worker["completed"], worker["failed"]) == ("w-1", 3, 1, 1)
    assert [(each["batch_id"], each["amount"]) for each in worker["held"]] == [(leased[0]["batch_id"], 1)]
    (failure,) = service.reads.workers.failures()
    assert (failure["worker"], failure["code"], failure["amount"]) == ("w-1", "unreadable", 1)
    page = viewer.get("/workers").text
    assert "w-1" in page
    assert "torn" in page
    assert "w-1" not in viewer.get("/workers?name=other").text.split("Failures by worker")[0]
    assert "<html" not in viewer.get("/workers", headers={"HX-Request": "true"}).text


def test_a_worker_that_is_silent_comes_first(
    client: ApiClient, viewer: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked(client)
    client.acting_as("worker").post("/api/tasks/lease", json={"worker": "w-2", "can": ["stage"]})
    monkeypatch.setattr(workers, "LEASE_SECONDS", -1_000)  # every heartbeat is late
    first, second = read(viewer, "/workers").xpath("//div[@aria-label='Workers']//tbody/tr")
    assert "w-1 silent for" in words(first)
    assert "w-2 heard" in words(second)


def test_sightings_are_written_seldom_and_add_up(
    client: ApiClient, service: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = {"worker": "w-2"}
    worker = client.acting_as("worker")
    with counted(service) as seen:
        for _ in range(5):
            worker.post("/api/tasks/lease", json=lease)
        assert not [each for each in seen if "worker_sightings" in each]
        monkeypatch.setattr(worker_sightings, "LONGEST_SECONDS", 0.0)
        worker.post("/api/tasks/lease", json=lease)
        worker.post("/api/tasks/lease", json=lease)
        assert len([each for each in seen if "worker_sightings" in each]) == 2
    assert [each["worker"] for each in service.reads.workers.seen()["workers"]] == ["w-2"]


def test_a_read_writes_nothing_and_the_thread_of_the_sweeper_does(
    client: ApiClient, service: Services, viewer: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.acting_as("worker").post("/api/tasks/lease", json={"worker": "w-3"})
    with counted(service) as seen:
        assert "w-3" not in viewer.get("/workers").text
    assert not [each for each in seen if each.startswith(("INSERT", "UPDATE"))]
    monkeypatch.setattr(worker_sightings, "EVERY_SECONDS", 0.0)
    service.sweeper.start()
    try:
        wait_until(lambda: "w-3" in viewer.get("/workers").text)
    finally:
        service.sweeper.stop()


def test_the_rate_is_that_of_the_last_whole_minute(service: Services) -> None:
    with transaction(service.engine) as connection:
        minute = worker_sightings.minute_of(db.now(connection))
        rows = [("now", minute, 7, 40), ("before", minute - 1, 30, 9), ("gone", minute - 5, 99, 99)]
        for name, last, reports, previous in rows:
            at = datetime.now(UTC)
            values = {"first_seen_at": at, "last_seen_at": at, "leased": 0, "completed": 0, "failed": 0}
            counts = {"minute": last, "minute_reports": reports, "previous_reports": previous}
            connection.execute(insert(db.table_of(WorkerSighting)), {"worker": name, **values, **counts})
    rates = {each["worker"]: each["reports_a_minute"] for each in service.reads.workers.seen()["workers"]}
    assert rates["gone"] == 0
    assert (rates["now"], rates["before"]) in {(40, 30), (7, 0)}  # the minute may have ended meanwhile


def test_old_sightings_are_forgotten(service: Services) -> None:
    with transaction(service.engine) as connection:
        for name, days in (("old", 8), ("new", 6)):
            at = datetime.now(UTC) - timedelta(days=days)
            values = {"first_seen_at": at, "last_seen_at": at, "leased": 0, "completed": 0, "failed": 0}
            counts = {"minute": 0, "minute_reports": 0, "previous_reports": 0}
            connection.execute(insert(db.table_of(WorkerSighting)), {"worker": name, **values, **counts})
    service.sweeper.sweep()
    assert [each["worker"] for each in service.reads.workers.seen()["workers"]] == ["new"]


def ask(service: Services, batch_id: int, amount: int, **changes: Any) -> None:
    now = datetime.now(UTC)
    rows = [
        {
            "id": uuid4().hex, "batch_id": batch_id, "action": "pause",
            "context": {"reason": "a model is down"}, "actor": "anna", "role": "operator", "status": "QUEUED",
            "created_at": now, "expires_at": now + timedelta(seconds=60), **changes,
        }
        for number in range(amount)
    ]  # fmt: skip
    with transaction(service.engine) as connection:
        connection.execute(insert(db.table_of(StateChangeRequest)), rows)


def test_who_waits_is_shown_in_the_order_of_batches_with_their_places(service: Services, viewer: FlaskClient) -> None:
    ask(service, 2, 3)
    ask(service, 1, 60)
    ask(service, 2, 1)
    ask(service, 3, 1, status="REFUSED", reason="pause needs another state", finished_at=datetime.now(UTC))
    rows, end = service.reads.requests.waiting(100)
    assert end is None
    assert [(row["batch_id"], row["queue_position"]) for row in rows] == [
        *((1, place) for place in range(1, 61)),
        *((2, place) for place in range(1, 5)),
    ]
    first, after_first = service.reads.requests.waiting(50)
    assert first == rows[:50]
    assert service.reads.requests.waiting(100, after_first) == (rows[50:], None)
    page = viewer.get("/requests").text
    assert "a model is down" in page
    assert "pause needs another state" in page
    after = page.split("after=")[1].split('"')[0].split("&")[0]
    assert page.count("a model is down") == 50
    assert viewer.get(f"/requests?after={after}").text.count("a model is down") == 14
    assert viewer.get("/requests?after=x&before=y").status_code == 200


def test_connections_are_shown_with_their_circuits(service: Services, viewer: FlaskClient) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    stories.report_calls(service, "failed", message="connection refused by <10.0.0.1>")
    page = read(viewer, "/workers")
    (row,) = page.xpath("//div[@aria-label='Connections']//tbody/tr")
    cells = [words(cell) for cell in row.xpath("th|td")]
    assert cells[:2] == ["local", "closed (outage)"]
    assert cells[3] == "connection refused by <10.0.0.1>"
    assert cells[-1] == str(batch_id)


@pytest.mark.parametrize("address", ["/workers", "/requests", "/batches/new"])
def test_the_number_of_statements_does_not_depend_on_how_full_the_database_is(
    client: ApiClient, service: Services, operator: FlaskClient, address: str
) -> None:
    def asked() -> int:
        with counted(service) as seen:
            assert operator.get(address).status_code == 200
        return len(seen)

    operator.get(address)  # what a process asks once
    empty = asked()
    for _ in range(3):
        worked(client)
    ask(service, 1, 120)
    for number in range(2 * MOST_WORKERS):
        service.queue.lease(f"w-{number}")
    service.sightings.write()
    assert asked() <= max(empty, MOST_QUERIES)
    assert empty <= MOST_QUERIES
