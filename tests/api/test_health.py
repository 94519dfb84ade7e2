"""GET /healthz, /readyz and /metrics."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from app import create_app
from app.services import Services
from config import Config
from tests.api.lives import answered, ask, bring, create, fail, lease, refused
from tests.support.client import ApiClient
from tests.support.postgres import free_port

Start = Callable[[str], Flask]


@pytest.fixture
def start() -> Iterator[Start]:
    """Make an application on a database without preparing it."""
    with ExitStack() as opened:

        def make(url: str) -> Flask:
            app = create_app(Config(database_url=url, admin_token="t", embedded_worker=False, sweeper=False))
            opened.callback(app.extensions["interlock"].engine.dispose)
            return app

        yield make


def test_alive_and_ready(app: Flask) -> None:
    """Contract 5: `GET /healthz`, `GET /readyz`."""
    stranger = app.test_client()
    assert answered(stranger.get("/healthz")) == {"status": "ok"}
    assert answered(stranger.get("/readyz"))["status"] == "ready"


def test_503_while_behind_its_migrations(app: Flask) -> None:
    """Contract 5: /readyz is 503 while the database is behind its migrations; /healthz is 200 all the same."""
    service: Services = app.extensions["interlock"]
    with service.engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert str(service.readiness.head) in answer.json["reason"]
    assert app.test_client().get("/healthz").status_code == 200
    with service.engine.begin() as connection:
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": service.readiness.head})
    assert app.test_client().get("/readyz").status_code == 200


def test_503_on_an_empty_postgresql(start: Start, empty_postgres_url: str) -> None:
    """Contract 5: a database without a table is behind its migrations; PostgreSQL's words for it."""
    answer = start(empty_postgres_url).test_client().get("/readyz")
    assert answer.status_code == 503
    assert "migrations" in answer.json["reason"]


def test_503_on_an_empty_sqlite(start: Start, tmp_path: Path) -> None:
    """Contract 5: a database without a table is behind its migrations; SQLite's words for it."""
    answer = start(f"sqlite:///{tmp_path}/empty.db").test_client().get("/readyz")
    assert answer.status_code == 503
    assert "migrations" in answer.json["reason"]


def test_503_while_the_database_is_away(start: Start) -> None:
    """Contract 5: /readyz is 503 while the database is away; PostgreSQL alone: SQLite is a file and cannot be away."""
    app = start(f"postgresql://interlock@127.0.0.1:{free_port()}/nothing")
    stranger = app.test_client()
    assert stranger.get("/readyz").status_code == 503
    assert stranger.get("/healthz").status_code == 200
    for headers in ({"Authorization": "Bearer t"}, {"Authorization": "Bearer x"}):
        answer = stranger.get("/api/batches", headers=headers)
        assert refused(answer, 503)["code"] == "unavailable"
        assert int(answer.headers["Retry-After"]) >= 1
    answer = stranger.post(
        "/api/batches", json={"name": "n"}, headers={"Authorization": "Bearer t", "Idempotency-Key": "k"}
    )
    refused(answer, 503)


def samples(client: ApiClient) -> dict[str, Any]:
    """The samples of /metrics by name and labels."""
    answer = client.acting_as(None).get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_count_what_happens(client: ApiClient) -> None:
    """Contract 5: `GET /metrics` (Prometheus): decisions, changes, leases, reports, batches, and times."""
    before = samples(client)
    batch = bring(client, "ANALYZING", documents=1)
    ask(client, batch["id"], "resume")
    ask(client, batch["id"], "run", dry_run=True)
    fail(client, lease(client, batch["id"])[0])
    fail(client, {"id": "999999", "lease_token": "t"})
    after = samples(client)

    def more(name: str, **labels: str) -> float:
        key = (name, *sorted(labels.items()))
        return float(after.get(key, 0) - before.get(key, 0))

    assert more("interlock_decisions_total", action="run", outcome="done") == 1
    assert more("interlock_decisions_total", action="resume", outcome="state_refused") == 1
    assert more("interlock_changes_total", trigger="staging_completed") == 1
    assert more("interlock_leases_total") == 2
    for outcome in ("completed", "failed", "refused"):
        assert more("interlock_reports_total", outcome=outcome) == 1
    assert more("interlock_batches", state="ANALYZING") == 1  # it fails at the end alone: the task is tried again
    endpoint = {"method": "POST", "endpoint": "actions.act", "status": "200"}
    assert more("interlock_http_request_seconds_count", **endpoint) == 2
    assert {key[1][1] for key in after if key[0] == "interlock_batches"} == {
        "SAVED",
        "STAGING",
        "STAGED",
        "ANALYZING",
        "PAUSED",
        "COMPLETED",
        "FAILED",
    }


def test_callers_cannot_add_labels(client: ApiClient) -> None:
    """A label for every method that a caller sends would fill the memory."""
    batch = create(client)
    words = [f"word{number}" for number in range(3)]
    for word in words:
        ask(client, batch["id"], word)
        ask(client, batch["id"], "stage", context={"reason": word}, dry_run=True)
        client.open("/api/batches", method=word.upper())
        client.get(f"/{word}")
        lease(client, worker=word)
    text_of = client.get("/metrics").text.lower()
    assert not [word for word in words if word in text_of]
