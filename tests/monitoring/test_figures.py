"""What /metrics says of the work: tasks, waits, limits, usage, leases, webhooks; and of a database that is away."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from app import create_app, db, metrics
from app.db import transaction
from app.domain.version import VERSION
from app.metrics import count_failure
from app.models import Batch, Task, TaskCounts
from app.services import Services
from app.services.gauges import usage
from config import Config
from tests.monitoring.scrape import families_of, value_of
from tests.services import stories
from tests.support.client import ApiClient, api_client
from tests.support.postgres import free_port
from tests.support.process import ROOT
from tests.support.row_locks import HoldRow
from tests.support.statements import counted
from tests.support.waiting import wait_until

USED = {"text": "x", "usage": {"cost": 1, "input_tokens": 100, "output_tokens": 20}}


@pytest.fixture
def services(app: Flask) -> Services:
    """The services of the application that is scraped."""
    found: Services = app.extensions["interlock"]
    return found


@pytest.fixture(autouse=True)
def _reads_usage_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "KEPT_SECONDS", -1.0)


def test_tasks_by_kind_and_status(client: ApiClient, services: Services) -> None:
    batch_id = stories.bring(services, "ANALYZING", documents=5)
    stories.bring(services, "COMPLETED", documents=7)  # its run has ended
    one, two = stories.lease(services, batch_id, most=2)
    stories.complete(services, one)
    stories.fail(services, two, retryable=False)
    stories.lease(services, batch_id, most=1)
    statuses = ("QUEUED", "LEASED", "COMPLETED", "FAILED")
    found = [value_of(client, "interlock_tasks", kind="ANALYZE", status=each) for each in statuses]
    assert found == [2, 1, 1, 1]
    assert [value_of(client, "interlock_tasks", kind="STAGE", status=each) for each in statuses] == [0, 0, 5, 0]


def move(services: Services, batch_id: int, seconds: float) -> None:
    """Move into the past what happened to a batch and when its tasks could be leased, without a change of it."""
    tasks, counts, batches = map(db.table_of, (Task, TaskCounts, Batch))
    with transaction(services.engine) as connection:
        past = db.now(connection) - timedelta(seconds=seconds)
        connection.execute(update(tasks).where(tasks.c.batch_id == batch_id).values(available_at=past))
        connection.execute(update(counts).where(counts.c.batch_id == batch_id).values(touched_at=past))
        raised = {"version": batches.c.version + 1, "updated_at": past}
        connection.execute(update(batches).where(batches.c.id == batch_id).values(raised))


def test_the_age_of_the_oldest_task_to_lease(client: ApiClient, services: Services) -> None:
    """From when it could be leased: not of a batch that is staged or paused, and not while a retry waits."""
    assert value_of(client, "interlock_oldest_ready_task_age_seconds") == 0
    staged = stories.bring(services, "STAGED")
    move(services, staged, 5_000)
    assert value_of(client, "interlock_oldest_ready_task_age_seconds") == 0
    batch_id = stories.bring(services, "ANALYZING")
    assert value_of(client, "interlock_oldest_ready_task_age_seconds") < 500
    move(services, batch_id, 1_000)
    assert 1_000 <= value_of(client, "interlock_oldest_ready_task_age_seconds") < 1_500
    stories.lease(services, batch_id)
    assert value_of(client, "interlock_oldest_ready_task_age_seconds") == 0


def test_a_batch_that_stalls_without_a_known_reason(client: ApiClient, services: Services) -> None:
    """No worker, and a closed connection, are reasons that other figures tell."""
    batch_id = stories.bring(services, "ANALYZING")
    stories.forget_workers(services)
    move(services, batch_id, 700)
    assert value_of(client, "interlock_stalled_batches") == 0
    assert value_of(client, "interlock_unserved_targets") == 1
    services.sightings.leased("w", 0)
    services.sightings.write()
    assert value_of(client, "interlock_stalled_batches") == 1
    assert value_of(client, "interlock_workers", state="present") == 1
    stories.report_calls(services, "failed")
    assert value_of(client, "interlock_stalled_batches") == 0
    assert value_of(client, "interlock_connection_state", connection="local", model="", state="closed") == 1


def test_limits_and_usage(client: ApiClient, services: Services) -> None:
    batch_id = stories.bring(services, "STAGED", documents=4, max_cost=4, max_tokens=1_000)
    stories.act(services, batch_id, "run")
    tasks = stories.lease(services, batch_id)
    for task in tasks[:3]:
        stories.complete(services, task, USED)
    found = families_of(client)["interlock_limit_used_ratio"].samples
    assert [(each.labels, each.value) for each in found] == [({"batch_id": str(batch_id), "limit": "max_cost"}, 0.75)]
    of_model = {"connection": "local", "model": "m0"}
    assert value_of(client, "interlock_cost_total", **of_model) == 3
    assert value_of(client, "interlock_calls_total", **of_model) == 3
    assert value_of(client, "interlock_tokens_total", direction="input", **of_model) == 300
    assert value_of(client, "interlock_tokens_total", direction="output", **of_model) == 60
    assert value_of(client, "interlock_failed_calls_total", **of_model) == 0


def test_a_pause_at_a_limit(client: ApiClient, services: Services) -> None:
    batch_id = stories.bring(services, "STAGED", documents=4, max_cost=1)
    before = value_of(client, "interlock_limit_pauses_total", limit="max_cost")
    stories.act(services, batch_id, "run")
    stories.complete(services, stories.lease(services, batch_id)[0], USED)
    assert stories.state_of(services, batch_id) == "PAUSED"
    assert value_of(client, "interlock_limit_pauses_total", limit="max_cost") == before + 1


def test_leases_that_ran_out_and_failures_by_code(client: ApiClient, services: Services) -> None:
    expired = value_of(client, "interlock_lease_expirations_total")
    failed = value_of(client, "interlock_failed_reports_total", code="timeout")
    batch_id = stories.bring(services, "ANALYZING", documents=3)
    first, *others = stories.lease(services, batch_id)
    stories.fail(services, first)
    stories.let_leases_run_out(services, others)
    services.sweeper.sweep()
    assert value_of(client, "interlock_lease_expirations_total") == expired + 2
    assert value_of(client, "interlock_failed_reports_total", code="timeout") == failed + 1


def test_codes_of_workers_are_bounded(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker may send any code: it does not make a time series each."""
    monkeypatch.setattr(metrics, "_codes", {f"known {number}" for number in range(metrics.MOST_CODES)})
    before = value_of(client, "interlock_failed_reports_total", code="other")
    for number in range(3):
        count_failure(f"made up {number}")
    assert value_of(client, "interlock_failed_reports_total", code="other") == before + 3
    assert value_of(client, "interlock_failed_reports_total", code="made up 1") == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_requests_that_wait(client: ApiClient, services: Services, hold_row: HoldRow) -> None:
    """PostgreSQL alone: SQLite has no row locks."""
    batch_id = stories.create(services)
    with hold_row(batch_id):
        stories.ask(services, batch_id, "stage")
        assert value_of(client, "interlock_queued_requests") == 1
        wait_until(lambda: value_of(client, "interlock_oldest_queued_request_age_seconds") > 0)


def test_who_leads(client: ApiClient, services: Services) -> None:
    services.sweeper.start()
    try:
        wait_until(lambda: value_of(client, "interlock_leader") == 1, "a leader")
    finally:
        services.sweeper.stop()
    assert value_of(client, "interlock_leader") == 0


def test_what_is_running(client: ApiClient) -> None:
    (sample,) = families_of(client)["interlock_build_info"].samples
    assert sample.labels["version"] == VERSION
    assert 'path = "app/domain/version.py"' in (ROOT / "pyproject.toml").read_text()  # the package has the same


def test_the_cost_of_a_scrape_does_not_follow_from_the_number_of_tasks(client: ApiClient, services: Services) -> None:
    stories.bring(services, "ANALYZING", documents=1)
    amounts = []
    for _ in range(2):
        with counted(services) as seen:
            families_of(client)
        amounts.append(len(seen))
        assert not [each for each in seen if re.search(r"count\(\*\).* FROM tasks\b", each, re.S | re.I)]
        stories.bring(services, "ANALYZING", documents=30)
    assert amounts[0] == amounts[1] > 0


@pytest.fixture
def without_database() -> Iterator[ApiClient]:
    app = create_app(Config(database_url=f"postgresql://interlock@127.0.0.1:{free_port()}/none", sweeper=False))
    yield api_client(app, {}, None)
    app.extensions["interlock"].engine.dispose()


def test_while_the_database_is_away(without_database: ApiClient) -> None:
    """The metrics of the process are left, and one that says it."""
    assert value_of(without_database, "interlock_database_up") == 0
    assert "interlock_batches" not in families_of(without_database)
