"""A worker whose connection is closed: its tasks go back unharmed, and nothing else is held up."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.worker import ConnectionClosed, Task
from app.worker.executors import make_executor
from app.worker.reporting import circuit_reports
from tests.support.waiting import wait_until
from tests.worker import sample_handlers
from tests.worker.fake_service import FakeService
from tests.worker.running import Running

LEFT = ["stage", "local/textstats", "jsonl/textstats"]  # without `test`
PROMPT = {"model": "m", "messages": []}
Run = Callable[..., Running]


class Server:
    """A handler whose model server is away while `is_away`; `calls` are the tasks that it was called for."""

    def __init__(self) -> None:
        self.is_away = False
        self.calls: list[str] = []
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()

    def __call__(self, task: Task) -> dict[str, Any]:
        with self._lock:
            self.calls.append(task.id)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if self.is_away:
                raise ConnectionClosed(task.payload["connection"], "nobody answers")
            return {"text": "an answer"}
        finally:
            with self._lock:
                self._at_once -= 1


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(circuit_reports, "PAUSE_SECONDS", 0.02)
    return Server()


def assert_nothing_lost(service: FakeService) -> None:
    service.wait_until_finished()
    assert set(service.statuses()) == {"COMPLETED"}
    assert {task.attempt for task in service.tasks.values()} == {1}


def test_a_closed_connection_costs_no_task_and_holds_no_other_up(
    service: FakeService, run: Run, server: Server
) -> None:
    service.probes = set()
    server.is_away = True
    away = service.add(100, connection="test", **PROMPT)
    others = service.add(100, connection="other", **PROMPT)
    with capture_logs() as logs:
        run(server, others={"other": sample_handlers.at_once})
        service.wait_for(lambda: {service.tasks[number].status for number in others} == {"COMPLETED"})
        service.wait_for(lambda: {service.tasks[number].status for number in away} == {"QUEUED"})
        (row,) = service.closed.values()
        assert (row["connection"], row["class"], row["reason"]) == ("test", "outage", "nobody answers")
        called = len(server.calls)
        for _ in range(3):  # each probe is one call
            server.most_at_once = 0
            service.probes = {"test"}
            service.wait_for(lambda called=called: len(server.calls) > called)
            service.wait_for(lambda: {service.tasks[number].status for number in away} == {"QUEUED"})
            called += 1
            assert (len(server.calls), server.most_at_once) == (called, 1)
        server.is_away = False
        service.probes = {"test"}
        assert_nothing_lost(service)
    assert service.closed == {}
    events = [line["event"] for line in logs if line["event"].startswith("connection_")]
    assert events == ["connection_closed"] * 4 + ["connection_open"]


def test_a_worker_learns_from_the_service_that_others_failed(service: FakeService, run: Run, server: Server) -> None:
    service.add(20, connection="test", **PROMPT)
    service.probes = set()
    service.closed["test", None] = {"connection": "test", "model": None, "class": "access", "reason": "no key"}
    running = run(server)
    service.wait_for(lambda: len(service.calls["lease"]) > 2)
    assert server.calls == []
    with service.lock:
        service.closed.clear()
    assert_nothing_lost(service)
    assert running.stop() == 0
    assert service.calls["connections"] == []


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_handler_on_any_executor_closes_its_connection(
    service: FakeService, run: Run, server: Server, tmp_path: Path, executor: str
) -> None:
    service.add(10, connection="test", mark=str(tmp_path / "mark"), **PROMPT)
    run(sample_handlers.closed_once, make=lambda: make_executor(executor, 2), concurrency=2)
    assert_nothing_lost(service)
    items = [item for body in service.calls["connections"] for item in body["connections"]]
    assert [(item["outcome"], item["class"]) for item in items] == [("failed", "access"), ("succeeded", None)]


def test_a_release_is_sent_until_it_is_answered(service: FakeService, run: Run, server: Server) -> None:
    """Its lease is renewed meanwhile, and so costs no attempt."""
    service.lease_seconds = 2.0
    service.probes = set()
    server.is_away = True
    service.add(8)
    service.order("release", lambda _: 503)
    run(server)
    renewed = len(service.calls["heartbeat"])
    service.wait_for(lambda: len(service.calls["heartbeat"]) > renewed + 3)
    assert service.statuses() == {"LEASED": 8}
    server.is_away = False
    service.probes = {"test"}
    service.orders["release"].clear()
    assert_nothing_lost(service)


def test_an_older_service_is_not_asked_twice(service: FakeService, run: Run, server: Server) -> None:
    service.order("connections", lambda _: 404)
    server.is_away = True
    service.add(20)
    with capture_logs() as logs:
        run(server)
        service.wait_for(lambda: len(server.calls) > 3)
        server.is_away = False
        assert_nothing_lost(service)
    assert [line["event"] for line in logs].count("connections_not_reported") == 1
    assert len(service.calls["connections"]) == 1


def test_a_worker_that_fails_alone_leases_no_task_of_the_connection(
    service: FakeService, run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service has no circuit closed, since other workers succeed."""
    monkeypatch.setattr(service, "connections", lambda body: body)
    server.is_away = True
    service.add(20)
    run(server)
    service.wait_for(lambda: service.calls["lease"] and service.calls["lease"][-1]["can"] == LEFT)
    server.is_away = False
    assert_nothing_lost(service)


def test_a_connection_is_checked_without_a_task(service: FakeService, run: Run, server: Server) -> None:
    """A handler that knows no such call says that a task may try."""
    service.closed["test", None] = {"connection": "test", "model": None, "class": "outage", "reason": "away"}
    service.checks = ["test"]
    run(server)
    wait_until(lambda: service.closed == {})
