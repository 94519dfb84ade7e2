"""A whole worker in this process, against a service that misbehaves."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.worker import Task, TaskFailed, lease_loop, task_runner
from app.worker import worker as module
from app.worker.reporting import unsent_reports
from app.worker.service.client import Address, Client
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker import sample_handlers
from tests.worker.fake_service import FakeService
from tests.worker.running import Running


def answers(service: FakeService) -> list[int]:
    """The number of counted reports of each task."""
    return [len(task.reports) for task in service.tasks.values()]


def test_all_tasks_are_done_once_and_in_bulk(service: FakeService, run: Callable[..., Running]) -> None:
    service.add(300)
    running = run()
    service.wait_until_finished()
    wait_until(lambda: running.worker.outbox.sent == 300)
    assert running.stop() == 0
    assert answers(service) == [1] * 300
    assert service.tasks["7"].reports[0]["result"] == {"text": "answer to 7"}
    assert len(service.calls["report"]) < 150
    assert len(service.calls["lease"]) < 150
    assert service.calls["release"] == []


def test_work_that_comes_later_is_found(service: FakeService, run: Callable[..., Running]) -> None:
    run()
    for _ in range(3):
        asked = len(service.calls["lease"])
        service.wait_for(lambda asked=asked: len(service.calls["lease"]) > asked + 1)  # one was answered with nothing
        service.add(1)
        service.wait_until_finished()
    assert answers(service) == [1, 1, 1]


def test_staging_tasks_go_to_their_handler(service: FakeService, run: Callable[..., Running]) -> None:
    service.add(1, "STAGE", document={"id": 1, "name": "a"}, text="x")
    run()
    service.wait_until_finished()
    assert service.tasks["1"].reports[0]["result"] == {"text": "read by another", "metadata": {}}


def test_the_limits_of_held_and_of_running_tasks_hold(service: FakeService, run: Callable[..., Running]) -> None:
    service.add(60)
    lock, now, most = threading.Lock(), [0], [0]

    def busy(task: Task) -> dict[str, Any]:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return {}

    running = run(busy, concurrency=3, prefetch=2)
    held = []

    def finished() -> bool:
        counts = running.worker.held.counts()
        held.append(counts["waiting"] + counts["running"])
        return set(service.statuses()) == {"COMPLETED"}

    service.wait_for(finished)
    assert most[0] == 3
    assert max(held) <= 9
    assert all(body["max_tasks"] <= 9 for body in service.calls["lease"])


@pytest.mark.parametrize(("pause_seconds", "fewest", "most"), [(2 * LIMIT_SECONDS, 1, 1), (0.02, 2, 100)])
def test_an_idle_worker_pauses_between_its_calls(
    service: FakeService, run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch,
    pause_seconds: float, fewest: int, most: int,
) -> None:  # fmt: skip
    """Another client, which does not pause, makes a hundred calls meanwhile."""
    monkeypatch.setattr(lease_loop, "PAUSE_SECONDS", pause_seconds)
    run(wait_seconds=0.0)
    service.wait_for(lambda: len(service.calls["lease"]) >= fewest)
    other = Client(Address(service.url, service.token), "another")
    for _ in range(100):
        other.heartbeat([], None)
    assert fewest <= len(service.calls["lease"]) <= most


def test_a_service_that_goes_and_comes_back_loses_nothing(service: FakeService, run: Callable[..., Running]) -> None:
    service.add(200)

    def slowly(task: Task) -> dict[str, Any]:
        time.sleep(0.01)
        return {}

    running = run(slowly)
    with capture_logs() as logs:
        for _ in range(3):
            wait_until(lambda: service.statuses().get("COMPLETED", 0) > 10)
            began = len(logs)
            service.stop()
            wait_until(lambda: "service_unavailable" in [line["event"] for line in logs[began:]])  # noqa: B023
            calls = len(service.calls["lease"])
            service.start()
            wait_until(lambda: len(service.calls["lease"]) > calls)  # noqa: B023
        service.wait_until_finished()
    assert running.stop() == 0
    assert answers(service) == [1] * 200
    assert all(task.attempt == 1 for task in service.tasks.values() if task.reports)
    assert {"service_unavailable", "service_available"} <= {line["event"] for line in logs}


def test_every_call_going_wrong_now_and_then_loses_nothing(service: FakeService, run: Callable[..., Running]) -> None:
    service.lease_seconds = 2.0  # a lease whose grant was lost expires soon
    service.add(60)
    service.order("lease", 503, "drop_before", (429, {"Retry_After": "0.1"}), "drop_after")
    service.order("report", "drop_after", 502, "drop_before", 504, 0.3)
    service.order("heartbeat", 503, "drop_after")
    run()
    service.wait_until_finished()
    assert answers(service) == [1] * 60


def test_a_long_task_keeps_its_lease(service: FakeService, run: Callable[..., Running]) -> None:
    service.lease_seconds = 3.0
    service.add(2)

    def long(_: Task) -> dict[str, Any]:
        renewed = len(service.calls["heartbeat"])
        wait_until(lambda: len(service.calls["heartbeat"]) >= renewed + 3)
        return {}

    run(long, concurrency=1)
    service.wait_until_finished()
    assert [task.attempt for task in service.tasks.values()] == [1, 1]
    assert answers(service) == [1, 1]


def test_a_revoked_task_is_dropped_but_an_answer_is_still_sent_once(
    service: FakeService, run: Callable[..., Running]
) -> None:
    service.lease_seconds = 3.0
    service.add(3)
    begun: list[str] = []

    def until_stopped(task: Task) -> dict[str, Any]:
        begun.append(task.id)
        assert task.stopping.wait(LIMIT_SECONDS)
        if task.id == "1":
            return {"text": "half past"}
        raise TaskFailed("stopped", "nobody waits")

    running = run(until_stopped, concurrency=2, prefetch=1)
    wait_until(lambda: len(begun) == 2)
    with service.lock:
        service.unwanted = {"1", "2", "3"}
        for task in service.tasks.values():
            task.status = "FAILED"  # as when the batch was cancelled
    wait_until(lambda: running.worker.held.counts() == {"waiting": 0, "running": 0, "unreported": 0})
    assert begun == ["1", "2"]
    reported = [report["task_id"] for body in service.calls["report"] for report in body["reports"]]
    assert reported == ["1"]
    assert answers(service) == [0, 0, 0]


def test_failures_are_reported_as_they_were_meant(service: FakeService, run: Callable[..., Running]) -> None:
    service.add(4)

    def fails(task: Task) -> dict[str, Any]:
        if task.id == "1":
            raise TaskFailed("quota", "no more", retryable=False, critical=True)
        if task.id == "2":
            return "no object"  # type: ignore[return-value]
        if task.id == "3":
            raise SystemExit(3)
        raise KeyError("x")

    run(fails)
    service.wait_until_finished()
    reports = [task.reports[0] for task in service.tasks.values()]
    assert [report["error"]["code"] for report in reports] == [
        "quota", "bad_result", "worker_failed", "handler_error",
    ]  # fmt: skip
    assert [(report["retryable"], report["critical"]) for report in reports] == [
        (False, True), (False, False), (True, False), (True, False),
    ]  # fmt: skip


def test_a_task_without_a_handler_fails_and_the_others_go_on(service: FakeService, run: Callable[..., Running]) -> None:
    service.add(30, connection="nowhere", model="m")
    service.add(3)
    run(concurrency=2)
    service.wait_until_finished()
    assert service.statuses() == {"FAILED": 30, "COMPLETED": 3}
    assert service.tasks["1"].reports[0]["error"]["code"] == "no_handler"
    assert "'nowhere'" in service.tasks["1"].reports[0]["error"]["message"]


@pytest.mark.parametrize("call", ["lease", "report", "heartbeat"])
def test_an_invalid_token_ends_the_worker_with_a_sentence(
    service: FakeService, run: Callable[..., Running], call: str
) -> None:
    service.lease_seconds = 1.0
    service.add(5, connection="test", model="m", seconds=0.1 if call == "report" else 3.0)
    service.order(call, 403)
    with capture_logs() as logs:
        assert run(sample_handlers.slow, report_ms=1).join() == 2
    stopped = next(line for line in logs if line["event"] == "worker_stopped")
    assert "token of role worker" in stopped["reason"]


def test_a_service_that_refuses_the_worker_ends_it(service: FakeService, run: Callable[..., Running]) -> None:
    service.order("lease", 404)
    assert run().join() == 1


def test_stop_hands_back_what_has_not_begun_and_reports_what_runs(
    service: FakeService, run: Callable[..., Running]
) -> None:
    service.add(10, connection="test", model="m", seconds=1.0)
    running = run(sample_handlers.slow, concurrency=2, prefetch=4)
    wait_until(lambda: running.worker.held.counts()["running"] == 2)
    assert running.stop() == 0
    assert service.statuses() == {"COMPLETED": 2, "QUEUED": 8}
    assert [task.attempt for task in service.tasks.values()] == [1, 1] + [0] * 8
    assert running.worker.abandoned == 0


def test_what_does_not_end_within_the_grace_time_is_handed_back(
    service: FakeService, run: Callable[..., Running]
) -> None:
    service.add(3)
    released = threading.Event()

    def stubborn(task: Task) -> dict[str, Any]:
        released.wait(2 * LIMIT_SECONDS)
        return {}

    running = run(stubborn, concurrency=2, prefetch=1, grace_seconds=1.0)
    wait_until(lambda: running.worker.held.counts()["running"] == 2)
    assert running.stop() == 0
    assert not released.is_set()
    released.set()
    assert running.worker.abandoned == 2
    assert service.statuses() == {"QUEUED": 3}
    assert answers(service) == [0, 0, 0]


def test_a_lease_that_is_waited_for_at_the_end_is_handed_back(
    service: FakeService, run: Callable[..., Running]
) -> None:
    running = run(wait_seconds=2.0)
    wait_until(lambda: service.calls["lease"])
    running.worker.stop()
    service.add(4)
    running.join()
    assert service.statuses() == {"QUEUED": 4}
    assert all(task.attempt == 0 for task in service.tasks.values())


def test_reports_that_could_not_be_sent_are_logged(service: FakeService, run: Callable[..., Running]) -> None:
    service.add(2, connection="test", model="m", seconds=0.5)
    running = run(sample_handlers.slow, grace_seconds=1.5)
    wait_until(lambda: running.worker.held.counts()["running"] == 2)
    service.stop()
    wait_until(lambda: len(running.worker.outbox) == 2)
    with capture_logs() as logs:
        assert running.stop() == 1
    assert next(line for line in logs if line["event"] == "reports_lost")["reports"] == 2


def kept_while_nothing_is_delivered(service: FakeService, running: Running) -> int:
    """Wait until the outbox keeps as many reports over ten more attempts; return how many they are.

    A lease request that was under way when the outbox filled may still add some before that.
    """

    def more_attempts() -> None:
        tried = len(service.calls["report"])
        service.wait_for(lambda: len(service.calls["report"]) > tried + 10)

    while True:
        kept = len(running.worker.outbox)
        more_attempts()
        if kept == len(running.worker.outbox) == service.statuses().get("LEASED", 0):
            more_attempts()
            assert len(running.worker.outbox) == kept
            return kept


def test_nothing_is_leased_while_answers_cannot_be_delivered(
    service: FakeService, run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_UNSENT_REPORTS", 10)
    service.add(500)
    service.order("report", lambda _: 503)
    running = run(concurrency=2, prefetch=2)
    service.wait_for(lambda: len(running.worker.outbox) >= 10)
    kept = kept_while_nothing_is_delivered(service, running)
    assert kept <= 16
    assert service.statuses() == {"LEASED": kept, "QUEUED": 500 - kept}
    service.orders["report"].clear()
    service.wait_until_finished()
    assert answers(service) == [1] * 500


@pytest.mark.parametrize("rows", [[{"id": "1"}], [{}], [{"lease_expires_at": 7}], [{"lease_expires_at": "soon"}]])
def test_an_answer_of_another_shape_does_not_end_it(
    service: FakeService, run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]
) -> None:
    service.add(1)
    with monkeypatch.context() as patched:
        patched.setattr(service, "lease", lambda _: {"tasks": rows})
        running = run()
        service.wait_for(lambda: len(service.calls["lease"]) >= 3)
    service.wait_until_finished()
    assert running.stop() == 0


def test_nothing_is_leased_while_the_outbox_is_full(
    service: FakeService, run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsent_reports, "MAX_MEMORY_BYTES", 1000)
    service.add(100)
    service.order("report", lambda _: 503)
    running = run(concurrency=2, prefetch=2)
    wait_until(lambda: running.worker.outbox.is_full)
    assert kept_while_nothing_is_delivered(service, running) < 100
    service.orders["report"].clear()
    service.wait_until_finished()
    assert answers(service) == [1] * 100


def test_a_fault_in_the_worker_itself_ends_it(
    service: FakeService, run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    service.add(1)
    monkeypatch.setattr(lease_loop, "Lease", None)
    running = run()
    assert running.join() == 1


class BreakingExecutor(ThreadPoolExecutor):
    """Breaks after so many tasks, as a pool of processes does: all its running tasks fail."""

    def __init__(self, tasks: int) -> None:
        super().__init__(2)
        self._left = tasks

    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        self._left -= 1
        if self._left < 0:
            raise BrokenExecutor("it broke")
        if self._left == 0:
            cancelled: Future[Any] = Future()
            cancelled.cancel()
            cancelled.set_running_or_notify_cancel()
            return cancelled
        return super().submit(work, *args, **kwargs)


def test_an_executor_that_breaks_is_replaced_and_no_more_than_it_had_fails(
    service: FakeService, run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_runner, "REPLACE_SECONDS", 0.01)
    service.add(40)
    running = run(make=lambda: BreakingExecutor(10))
    service.wait_until_finished()
    assert running.stop() == 0
    assert answers(service) == [1] * 40
    failed = [task.reports[0] for task in service.tasks.values() if task.status == "FAILED"]
    assert 0 < len(failed) < 40  # the tasks of the broken executors, and no others
    assert {(report["error"]["code"], report["retryable"]) for report in failed} == {("worker_failed", True)}


class ShutMeanwhile(ThreadPoolExecutor):
    """Loses a race every time: its second task is submitted after it was shut down because of its third."""

    def __init__(self) -> None:
        super().__init__(2)
        self.second_came, self._over = threading.Event(), threading.Event()
        self._numbers = iter(range(1, 1_000))

    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        number = next(self._numbers)
        if number == 2:
            self.second_came.set()
            assert self._over.wait(LIMIT_SECONDS)
        if number == 3:
            raise BrokenExecutor("it broke")
        return super().submit(work, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait, cancel_futures=cancel_futures)
        self._over.set()


def test_a_task_that_meets_an_executor_already_replaced_waits_for_the_next(
    service: FakeService, run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_runner, "REPLACE_SECONDS", 0.01)
    service.add(20)
    lost = ShutMeanwhile()
    executors: list[Executor] = [ThreadPoolExecutor(4), lost]

    def first_waits(task: Task) -> dict[str, Any]:
        assert lost.second_came.wait(LIMIT_SECONDS)
        return {}

    with capture_logs() as logs:
        running = run(first_waits, make=executors.pop)
        service.wait_until_finished()
    assert running.stop() == 0
    assert service.statuses() == {"COMPLETED": 20}
    assert answers(service) == [1] * 20
    assert [line["event"] for line in logs].count("executor_lost") == 1


def test_while_there_is_no_executor_nothing_is_held(
    service: FakeService, run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_runner, "REPLACE_SECONDS", 0.01)
    service.add(30)
    there = [BreakingExecutor(1)]

    def make() -> Executor:
        if not there:
            raise TimeoutError("no scheduler answers")
        return there.pop()

    with capture_logs() as logs:
        running = run(make=make)
        service.wait_for(lambda: service.statuses() == {"QUEUED": 29, "FAILED": 1})
        wait_until(lambda: "executor_unavailable" in {line["event"] for line in logs})
        there.append(BreakingExecutor(1_000))
        service.wait_until_finished()
    assert running.stop() == 0
    assert {task.attempt for task in service.tasks.values()} == {1}  # a released task keeps its attempt
    assert service.statuses() == {"COMPLETED": 29, "FAILED": 1}
