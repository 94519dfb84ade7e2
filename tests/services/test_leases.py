"""Leases: attempts, running out, heartbeat, release, waiting for the next attempt."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Timer
from typing import Any

import psycopg2
import pytest

from app.domain.transitions import BatchState
from app.errors import ReportRefused
from app.services import Services
from config import Config
from tests.services import stories
from tests.services.stories import act, bring, complete, fail, lease, lease_one, task, tasks_of, view
from tests.support.moments import is_from, now

OPEN = {"SAVED": None, "STAGING": "STAGE", "ANALYZING": "ANALYZE"}  # the kind of task that is leased in each state


def run_out(services: Services, *leases: dict[str, Any]) -> None:
    """Let leases run out, and let the sweeper end them."""
    stories.let_leases_run_out(services, leases)
    services.sweeper.sweep()


def beat(services: Services, leased: dict[str, Any], lease_seconds: int | None = None) -> dict[str, Any]:
    (answer,) = services.queue.heartbeat([(leased["id"], leased["lease_token"])], lease_seconds)
    return answer


def hand_back(services: Services, leased: dict[str, Any]) -> dict[str, Any]:
    (answer,) = services.queue.release([(leased["id"], leased["lease_token"])])
    return answer


@pytest.mark.parametrize("state", BatchState)
def test_what_is_leased_in_which_state(services: Services, state: BatchState) -> None:
    """Contract 5: only STAGE tasks of a STAGING batch and ANALYZE tasks of an ANALYZING one."""
    batch_id = bring(services, state)
    leased = lease(services)
    assert {each["kind"] for each in leased} == ({OPEN[state]} if OPEN.get(state) else set())
    assert {each["batch_id"] for each in leased} <= {batch_id}


def test_a_lease_as_the_contract_shows_it(services: Services) -> None:
    """Contract 5: the fields of a leased task; `lease_seconds` is the batch's unless the worker gives its own."""
    batch_id = bring(services, "ANALYZING", lease_seconds=100)
    began = now()
    (first,) = lease(services, batch_id, most=1)
    assert set(first) == {
        "id", "batch_id", "run", "kind", "attempt", "lease_token", "lease_expires_at", "payload",
    }  # fmt: skip
    assert isinstance(first["id"], str)
    assert (first["run"], first["attempt"]) == (1, 1)
    assert is_from(began, 100, first["lease_expires_at"])
    (second,) = lease(services, batch_id, most=1, lease_seconds=500)
    assert is_from(began, 500, second["lease_expires_at"])
    assert first["id"] != second["id"]
    assert lease(services, batch_id) == []
    assert task(services, first["id"])["worker"] == "w"


def test_an_attempt_is_counted_when_a_task_is_leased(services: Services) -> None:
    """Contract 5: a lease that runs out counts as a failure does; every lease has its own token."""
    batch_id = bring(services, "ANALYZING", documents=1, max_attempts=4)
    first = lease_one(services, batch_id)
    run_out(services, first)
    assert task(services, first["id"])["attempt"] == 1
    second = lease_one(services, batch_id)
    fail(services, second, retry_after_seconds=0)
    third = lease_one(services, batch_id)
    assert [each["attempt"] for each in (first, second, third)] == [1, 2, 3]
    assert len({each["lease_token"] for each in (first, second, third)}) == 3


def test_a_task_that_uses_up_its_attempts_is_poisoned(services: Services) -> None:
    """Contract 5: a lease that runs out puts the task back, or fails it when its attempts are used up."""
    batch_id = bring(services, "ANALYZING", documents=2, max_attempts=2)
    poison, other = lease(services, batch_id)
    complete(services, other)
    run_out(services, poison)
    assert task(services, poison["id"])["status"] == "QUEUED"
    again = lease_one(services, batch_id)
    run_out(services, again)
    shown = task(services, poison["id"])
    assert (shown["status"], shown["error"]["code"], shown["attempt"]) == ("FAILED", "poisoned", 2)
    assert shown["finished_at"]
    assert view(services, batch_id)["state"] == "COMPLETED"
    with pytest.raises(ReportRefused):
        complete(services, again)
    assert task(services, poison["id"])["status"] == "FAILED"
    assert [late["attempt"] for late in task(services, poison["id"])["late_results"]] == [2]
    assert not beat(services, again)["ok"]


@pytest.mark.parametrize("is_reported", [False, True], ids=["silent", "reported late"])
def test_a_lease_that_runs_out_after_its_run_ended_is_no_attempt(services: Services, is_reported: bool) -> None:
    """Contract 5: the lease ends in every state of its batch; a batch that has ended stays as it is."""
    batch_id = bring(services, "ANALYZING", documents=1, max_attempts=1)
    leased = lease_one(services, batch_id)
    act(services, batch_id, "cancel")
    if is_reported:
        with pytest.raises(ReportRefused):
            complete(services, leased)
    before = view(services, batch_id)
    run_out(services, leased)
    shown = task(services, leased["id"])
    assert (shown["status"], shown["attempt"], shown["error"]) == ("QUEUED", 0, None)
    after = view(services, batch_id)
    assert (after["version"], after["failure"]) == (before["version"], before["failure"])
    if not is_reported:
        with pytest.raises(ReportRefused):
            complete(services, leased)
    assert [late["outcome"] for late in task(services, leased["id"])["late_results"]] == ["completed"]


def test_a_release_does_not_count_the_attempt(services: Services) -> None:
    """Contract 5: a task that is handed back may be leased by another worker at once."""
    batch_id = bring(services, "ANALYZING", documents=1, max_attempts=1)
    for _ in range(3):
        leased = lease_one(services, batch_id)
        assert leased["attempt"] == 1
        assert hand_back(services, leased) == {"task_id": leased["id"], "ok": True, "lease_expires_at": None}
        assert hand_back(services, leased)["ok"]  # sent twice
        assert task(services, leased["id"])["attempt"] == 0
    assert not beat(services, leased)["ok"]
    with pytest.raises(ReportRefused, match="handed back"):
        complete(services, leased)
    assert len(task(services, leased["id"])["late_results"]) == 1
    complete(services, lease_one(services, batch_id))
    assert view(services, batch_id)["state"] == "COMPLETED"


def test_a_release_of_what_is_not_held(services: Services) -> None:
    """Contract 5: `ok: false` with the reason; nothing changes."""
    batch_id = bring(services, "ANALYZING", documents=2)
    done, held = lease(services, batch_id)
    complete(services, done)
    before = stories.snapshot(services)
    reasons = [
        answer.get("reason")
        for answer in services.queue.release(
            [
                (done["id"], done["lease_token"]),
                (held["id"], done["lease_token"]),
                ("4711", held["lease_token"]),
                ("x", held["lease_token"]),
            ]
        )
    ]
    never = "this lease token was never given out"
    assert reasons == [
        "the lease is over: the task is COMPLETED",
        never,
        "there is no such task",
        "there is no such task",
    ]
    assert stories.snapshot(services) == before


def test_a_release_after_the_run_is_over(services: Services) -> None:
    """Contract 5: a worker that stops may hand back all tasks that it holds."""
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = lease_one(services, batch_id)
    act(services, batch_id, "cancel")
    assert hand_back(services, leased)["ok"]
    assert (task(services, leased["id"])["status"], task(services, leased["id"])["attempt"]) == ("QUEUED", 0)


def test_a_heartbeat_renews(services: Services) -> None:
    """Contract 5: by the batch's lease time, or the worker's; in PAUSED too, since work in flight may finish."""
    batch_id = bring(services, "ANALYZING", documents=2, lease_seconds=30)
    leased, _ = lease(services, batch_id)
    began = now()
    assert is_from(began, 30, beat(services, leased)["lease_expires_at"])
    act(services, batch_id, "pause")
    renewed = beat(services, leased, 700)
    assert renewed["ok"]
    assert is_from(began, 700, renewed["lease_expires_at"])
    assert task(services, leased["id"])["lease_expires_at"] == renewed["lease_expires_at"]


@pytest.mark.parametrize("swept", [False, True], ids=["unseen", "swept"])
def test_a_heartbeat_renews_a_lease_that_ran_out(services: Services, swept: bool) -> None:
    """Contract 5: a lease that ran out counts until the task is leased again, and a heartbeat renews it."""
    batch_id = bring(services, "ANALYZING", documents=1, max_attempts=2)
    leased = lease_one(services, batch_id)
    stories.let_leases_run_out(services, [leased])
    if swept:
        services.sweeper.sweep()
        assert task(services, leased["id"])["status"] == "QUEUED"
    assert beat(services, leased)["ok"]
    assert (task(services, leased["id"])["status"], task(services, leased["id"])["attempt"]) == ("LEASED", 1)
    assert lease(services, batch_id) == []
    services.sweeper.sweep()
    assert task(services, leased["id"])["status"] == "LEASED"
    complete(services, leased)
    assert view(services, batch_id)["state"] == "COMPLETED"


def test_a_lease_that_ran_out_counts_until_it_is_given_to_another(services: Services) -> None:
    """Contract 5: a token is current until its task is leased again; then a report is late, and its result is kept."""
    batch_id = bring(services, "ANALYZING", documents=2)
    slow, lost = lease(services, batch_id)
    run_out(services, slow, lost)
    complete(services, slow, {"text": "slow but sure"})
    assert task(services, slow["id"])["status"] == "COMPLETED"
    again = lease_one(services, batch_id)
    assert (again["id"], again["attempt"]) == (lost["id"], 2)
    assert beat(services, lost) == {
        "task_id": lost["id"], "ok": False, "reason": "the lease is over: the task is LEASED",
    }  # fmt: skip
    with pytest.raises(ReportRefused, match="leased again"):
        complete(services, lost)
    complete(services, again)
    assert view(services, batch_id)["state"] == "COMPLETED"


@pytest.mark.parametrize("change", ["cancel", "restage", "reset"])
def test_a_heartbeat_says_stop_when_the_run_is_over(services: Services, change: str) -> None:
    """Contract 5: `ok: false` means stop working on it."""
    batch_id = bring(services, "ANALYZING")
    leased = lease(services, batch_id)[0]
    act(services, batch_id, "cancel")
    if change != "cancel":
        act(services, batch_id, change)
    before = stories.snapshot(services)
    answer = beat(services, leased)
    assert not answer["ok"]
    assert answer["reason"].startswith("the batch is ")
    assert stories.snapshot(services) == before


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (9, 256), (10, 300), (11, 300)])
def test_a_failed_attempt_waits_longer_each_time(services: Services, attempts: int, seconds: int) -> None:
    """Contract 5: 1 s, doubled by each attempt, up to 5 minutes."""
    batch_id = bring(services, "ANALYZING", documents=1, max_attempts=100)
    for _ in range(attempts - 1):
        fail(services, lease_one(services, batch_id), retry_after_seconds=0)
    began = now()
    fail(services, lease_one(services, batch_id))
    (waiting,) = tasks_of_kind(services, batch_id, "ANALYZE")
    assert (waiting["status"], waiting["attempt"]) == ("QUEUED", attempts)
    assert is_from(began, seconds, waiting["available_at"])


def tasks_of_kind(services: Services, batch_id: int, kind: str) -> list[dict[str, Any]]:
    return [each for each in tasks_of(services, batch_id) if each["kind"] == kind]


@pytest.mark.parametrize("seconds", [0, 5000.5])
def test_the_worker_chooses_the_wait(services: Services, seconds: float) -> None:
    """Contract 5: `retry_after_seconds` replaces the usual wait; a model server knows when it has room."""
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = lease_one(services, batch_id)
    began = now()
    fail(services, leased, retry_after_seconds=seconds)
    shown = task(services, leased["id"])
    assert (shown["status"], shown["error"]) == ("QUEUED", stories.ERROR)
    assert is_from(began, seconds, shown["available_at"])
    if seconds:
        assert lease(services, batch_id) == []
        stories.let_waits_end(services, [leased])
    complete(services, lease_one(services, batch_id))
    assert task(services, leased["id"])["error"] is None


def test_the_last_attempt_is_final(services: Services) -> None:
    """Contract 5: a retryable failure puts a task back as long as it has attempts left."""
    batch_id = bring(services, "ANALYZING", documents=2, max_attempts=2)
    leased, _ = lease(services, batch_id)
    fail(services, leased, retry_after_seconds=0)
    again = lease_one(services, batch_id)
    fail(services, again, retry_after_seconds=0)
    assert (task(services, leased["id"])["status"], view(services, batch_id)["state"]) == ("FAILED", "ANALYZING")
    assert task(services, leased["id"])["error"] == stories.ERROR


def test_what_waited_longest_is_leased_first(services: Services) -> None:
    """Contract 5: a task that was put back does not overtake the tasks that wait already."""
    batch_id = bring(services, "ANALYZING", documents=3)
    first = lease_one(services, batch_id)
    fail(services, first, retry_after_seconds=0)
    order = [lease_one(services, batch_id)["id"] for _ in range(3)]
    assert order[-1] == first["id"]


def test_a_lease_waits_for_work_and_ends_with_the_process(services: Services) -> None:
    """Contract 5: `wait_seconds`; the wait ends when the process stops."""
    services.queue.stopping.set()
    assert lease(services, wait_seconds=100) == []


def test_progress_adds_up_at_every_step(services: Services) -> None:
    """Contract 5: `progress` agrees with the tasks after each step."""
    batch_id = bring(services, "SAVED", documents=4, max_attempts=2)

    def adds_up() -> dict[str, int]:
        shown = view(services, batch_id)["progress"]
        for name, kind in (("staging", "STAGE"), ("analysis", "ANALYZE")):
            statuses = [each["status"] for each in tasks_of_kind(services, batch_id, kind)]
            for counted in set(shown[name]) - {"total"}:
                assert shown[name][counted] == statuses.count(counted.upper())
            assert shown[name]["total"] == len(statuses)
        analysis = shown["analysis"]
        assert analysis["total"] == sum(analysis[s] for s in ("queued", "leased", "completed", "failed"))
        return analysis

    for _ in stories.walk(services, batch_id, "stage * run"):
        adds_up()
    first, second, third = lease(services, batch_id, most=3)
    assert adds_up() == {"total": 4, "queued": 1, "leased": 3, "completed": 0, "failed": 0, "truncated": 0}
    complete(services, first)
    fail(services, second, retryable=False)
    fail(services, third, retry_after_seconds=0)
    assert adds_up() == {"total": 4, "queued": 2, "leased": 0, "completed": 1, "failed": 1, "truncated": 0}
    held = lease(services, batch_id)
    hand_back(services, held[0])
    run_out(services, held[1])
    adds_up()
    for late in (first, second, third, *held):
        with suppress(ReportRefused):  # a report that counts, is repeated, contradicts an earlier one, or is late
            complete(services, late)
        adds_up()
    stories.finish_all(services, batch_id)
    assert adds_up()["queued"] == 0
    assert view(services, batch_id)["state"] == "COMPLETED"


class TestCountsAreHeld:
    """PostgreSQL alone: on SQLite each writer waits for every other one anyway."""

    @pytest.fixture
    def config(self, postgres_url: str) -> Config:
        return Config(database_url=postgres_url, embedded_worker=False, sweeper=False, lock_timeout_ms=30)

    def test_a_lease_outwaits_the_lock_timeout_as_a_report_does(self, services: Services, postgres_url: str) -> None:
        batch_id = bring(services, "ANALYZING", documents=1)
        with closing(psycopg2.connect(postgres_url)) as other:
            with counts_held(other, 0.3):
                leased = lease_one(services, batch_id)
            with counts_held(other, 0.3):
                complete(services, leased)
        assert stories.state_of(services, batch_id) == "COMPLETED"


@contextmanager
def counts_held(connection: Any, seconds: float) -> Iterator[None]:
    """Lock the counts against other writers for some seconds."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE task_counts IN EXCLUSIVE MODE")
    letting_go = Timer(seconds, connection.rollback)
    letting_go.start()
    try:
        yield
    finally:
        letting_go.join()
