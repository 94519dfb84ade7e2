"""The sweeper: each step is safe to repeat; one process leads, and another one takes over."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from structlog.testing import capture_logs

from app.models import Task
from app.services import Services, build
from app.services.input import edits
from app.services.upkeep import samples
from app.services.upkeep.leadership import leadership
from app.services.upkeep.sweeper import Sweeper
from config import Config
from tests.services import stories
from tests.services.stories import act, bring, lease, snapshot, trail, view
from tests.support.waiting import LIMIT_SECONDS, wait_until

ROOT = Path(__file__).parents[2]
LEAD = """
import sys, time
from app.services import build
from app.services.upkeep.leadership import leadership
from config import Config
leads = leadership(build(Config(database_url=sys.argv[1])).engine)
print("leads" if leads.held() else "follows", flush=True)
time.sleep(60)
"""


@pytest.fixture
def started(services: Services) -> Iterator[Sweeper]:
    services.sweeper.start()
    yield services.sweeper
    services.sweeper.stop()


def die_between_report_and_event(services: Services, batch_id: int) -> None:
    """Report every task of a batch completed; the process dies before it raises the event."""
    leases = lease(services, batch_id)
    with services.engine.begin() as connection:
        for leased in leases:
            stories.complete_in(connection, leased)


@pytest.mark.parametrize(("state", "event"), [("STAGING", "staging_completed"), ("ANALYZING", "tasks_finished")])
def test_it_raises_what_a_crash_left_undone_once(services: Services, state: str, event: str) -> None:
    """Contract 5: if the process dies between, the sweeper does it; exactly once."""
    batch_id = bring(services, state)
    die_between_report_and_event(services, batch_id)
    assert view(services, batch_id)["state"] == state
    for _ in range(3):
        services.sweeper.sweep()
    assert trail(services, batch_id).count(event) == 1


def test_a_second_sweep_finds_nothing_to_do(services: Services) -> None:
    """Contract 5: one pass does all the work; a second one, in any process, changes nothing."""
    batch_id = bring(services, "ANALYZING", documents=3, max_attempts=1)
    staging = bring(services, "STAGING", documents=1, staging_timeout_seconds=0)
    poison, other, _ = lease(services, batch_id)
    stories.let_leases_run_out(services, [poison])
    stories.complete(services, other)
    services.sweeper.sweep()
    assert view(services, staging)["failure"]["code"] == "staging_timeout"
    assert stories.task(services, poison["id"])["status"] == "FAILED"
    after = snapshot(services)
    services.sweeper.sweep()
    assert snapshot(services) == after


def test_it_leaves_alone_what_is_not_due(services: Services) -> None:
    for state in ("SAVED", "STAGING", "STAGED", "ANALYZING", "PAUSED", "COMPLETED", "FAILED"):
        batch_id = bring(services, state)
        if state in ("STAGING", "ANALYZING"):
            lease(services, batch_id, most=1)
    samples.sample(services.engine)  # the first one of a run at work is due at once
    before = snapshot(services)
    services.sweeper.sweep()
    assert snapshot(services) == before


def test_one_step_that_fails_does_not_stop_the_others(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("app.services.batch.request_queue.batches_with_requests", fails)
    monkeypatch.setattr("app.services.queue.expiry.any_ran_out", fails)
    batch_id = bring(services, "ANALYZING")
    die_between_report_and_event(services, batch_id)
    services.sweeper.sweep()
    assert view(services, batch_id)["state"] == "COMPLETED"


def test_a_lease_that_runs_out_after_its_batch_was_put_away(services: Services) -> None:
    """Contract 5: its task stays as the run left it, and leases of other batches are ended in the same pass."""
    away, other = (bring(services, "ANALYZING", documents=1, max_attempts=1) for _ in range(2))
    leases = [stories.lease_one(services, batch_id) for batch_id in (away, other)]
    act(services, away, "cancel")
    edits.archive(services.batches, away, stories.OPERATOR)
    stories.let_leases_run_out(services, leases)
    with capture_logs() as logged:
        services.sweeper.sweep()
    ended = {str(row.id): row.status for row in stories.rows_of(services, Task)}
    assert [ended[each["id"]] for each in leases] == ["QUEUED", "FAILED"]
    assert view(services, other)["failure"]["code"] == "all_tasks_failed"
    assert [line for line in logged if line["log_level"] in ("warning", "error")] == []


@pytest.mark.usefixtures("started")
def test_its_thread_sweeps_by_itself(services: Services) -> None:
    """Contract 5: the sweeper does it within a second (this test checks only that it does)."""
    batch_id = bring(services, "ANALYZING")
    die_between_report_and_event(services, batch_id)
    wait_until(lambda: view(services, batch_id)["state"] == "COMPLETED")


def test_it_ends_and_begins_again(services: Services, started: Sweeper, another: Callable[..., Services]) -> None:
    """Contract 6: a process that leaves lets another one lead."""
    other = leadership(another().engine)
    wait_until(lambda: not other.held() or bool(other.give_up()))
    started.stop()
    started.stop()
    wait_until(other.held)
    other.give_up()
    started.start()
    started.start()
    batch_id = bring(services, "ANALYZING")
    die_between_report_and_event(services, batch_id)
    wait_until(lambda: view(services, batch_id)["state"] == "COMPLETED")


def test_one_of_two_leads(services: Services, another: Callable[..., Services]) -> None:
    """Contract 6: with several server processes on a database one of them sweeps; when it gives up, another does."""
    first, second = leadership(services.engine), leadership(another().engine)
    assert first.held()
    assert first.held()
    assert not second.held()
    first.give_up()
    first.give_up()
    wait_until(second.held)
    assert not first.held()
    second.give_up()


def test_another_leads_when_the_leader_dies(services: Services, database_url: str) -> None:
    """Contract 6: the lock dies with its process, however that ends."""
    leader = subprocess.Popen([sys.executable, "-c", LEAD, database_url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    mine = leadership(services.engine)
    try:
        assert leader.stdout is not None
        assert leader.stdout.readline() == "leads\n"
        assert not mine.held()
        os.kill(leader.pid, signal.SIGKILL)
        leader.wait(LIMIT_SECONDS)
        wait_until(mine.held)
    finally:
        leader.kill()
        leader.wait(LIMIT_SECONDS)
        leader.stdout.close()
        mine.give_up()


def test_it_leads_again_when_its_session_was_ended(postgres_url: str) -> None:
    """As PostgreSQL does with a transaction that was idle for too long, because a pass took long."""
    services = build(Config(database_url=postgres_url))
    leader = leadership(services.engine)
    assert leader.held()
    with psycopg2.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND datname = current_database()"
        )
    connection.close()
    assert not leader.held()
    assert leader.held()
    leader.give_up()
    services.engine.dispose()


def test_two_who_sweep_at_once_do_no_harm(services: Services, another: Callable[..., Services]) -> None:
    """Contract 5: each step is safe to repeat: leadership saves work, and protects nothing."""
    other, batch_id = another(), bring(services, "ANALYZING")
    die_between_report_and_event(services, batch_id)
    act(services, bring(services, "FAILED"), "restage")
    for each in (services, other, other, services):
        each.sweeper.sweep()
    assert trail(services, batch_id).count("tasks_finished") == 1
