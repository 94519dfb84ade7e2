"""PostgreSQL crashes and its standby takes its place: 503 while nothing takes writes, and then all goes on.

The standby is synchronous: each report that was acknowledged is on it. An asynchronous one may miss the last ones.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from app import db
from app.schema import migrate
from app.services.upkeep.verify import verify
from config import Config
from tests.edges.worker_process import LINE, WorkerProcess
from tests.support.batches import Batch
from tests.support.row_locks import row_locks
from tests.support.server import LiveServer, running_server
from tests.support.standby import Pair, execute, primary_and_standby
from tests.support.waiting import LIMIT_SECONDS, wait_until

TASKS, REPORTED_HERE, BEFORE_THE_CRASH = 200, 100, 30
DATABASE = "interlock_data"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with primary_and_standby() as running:
        execute(running.primary, f"CREATE DATABASE {DATABASE}")
        migrate(running.url(DATABASE))
        yield running


@dataclass
class Reporter:
    """Reports tasks one by one, each again and again until it is acknowledged."""

    server: LiveServer
    tasks: list[dict[str, Any]]
    acknowledged: list[str] = field(default_factory=list)

    def run(self) -> None:
        with self.server.session("worker") as http:
            for task in self.tasks:
                wait_until(lambda task=task: self._report(http, task), "an acknowledgement")  # type: ignore[misc]
                self.acknowledged.append(task["id"])

    def _report(self, http: requests.Session, task: dict[str, Any]) -> bool:
        body = {"lease_token": task["lease_token"], "result": {"of": task["id"]}}
        answer = http.post(f"{self.server.url}/api/tasks/{task['id']}/complete", json=body, timeout=LIMIT_SECONDS)
        assert answer.status_code == 200 or unavailable(answer), answer.text
        return answer.status_code == 200


def unavailable(answer: requests.Response) -> bool:
    return (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def is_ready(server: LiveServer) -> bool:
    return requests.get(f"{server.url}/readyz", timeout=LIMIT_SECONDS).status_code == 200


def running_batch(server: LiveServer, http: requests.Session) -> tuple[Batch, list[dict[str, Any]]]:
    """A batch at work, and the leases of some of its tasks."""
    lines = "".join(LINE % (number, number) for number in range(TASKS)).encode()
    batch = Batch(server, http, lines=lines)
    batch.ask("stage")
    batch.reach("STAGED")
    batch.ask("run")
    lease = {"worker": "here", "max_tasks": REPORTED_HERE, "lease_seconds": 600}
    answer = http.post(f"{server.url}/api/tasks/lease", json=lease, timeout=LIMIT_SECONDS)
    return batch, answer.json()["tasks"]


def test_it_goes_on_and_no_acknowledged_report_is_lost(pair: Pair, tmp_path: Path) -> None:
    with running_server(pair.url(DATABASE), workers=2) as server, server.session() as http:
        batch, tasks = running_batch(server, http)
        reporter = Reporter(server, tasks)
        reporting = threading.Thread(target=reporter.run)
        # Short leases: one whose answer is lost in the crash has to run out.
        worker = WorkerProcess(server.url, server.tokens["worker"], tmp_path / "log", "--lease-seconds", "5")
        reporting.start()
        try:
            wait_until(lambda: len(reporter.acknowledged) >= BEFORE_THE_CRASH, "reports before the crash")
            pair.crash()
            nothing_takes_writes(server, http, batch)
            pair.promote()
            wait_until(lambda: is_ready(server), "a service that is ready")
            reporting.join(LIMIT_SECONDS)
            assert reporter.acknowledged == [task["id"] for task in tasks]
            batch.reach("COMPLETED")
        finally:
            worker.close()
        answers = {line["task_id"]: line["result"] for line in batch.results()}
        assert len(answers) == TASKS
        assert [answers[each] for each in reporter.acknowledged] == [{"of": each} for each in reporter.acknowledged]
        actions_work(pair, http, batch)
    engine = db.make_engine(Config(database_url=pair.url(DATABASE)))
    assert list(verify(engine)) == []
    engine.dispose()


def nothing_takes_writes(server: LiveServer, http: requests.Session, batch: Batch) -> None:
    action = {"json": {"action": "pause"}, "timeout": LIMIT_SECONDS}
    lease = {"json": {"worker": "here"}, "timeout": LIMIT_SECONDS}
    wait_until(lambda: not is_ready(server), "a service that is not ready")
    for _ in range(3):
        assert unavailable(http.post(f"{batch.url}/action", **action))
        assert unavailable(http.post(f"{server.url}/api/tasks/lease", **lease))
        assert unavailable(http.get(batch.url, timeout=LIMIT_SECONDS))
        assert not is_ready(server)


def actions_work(pair: Pair, http: requests.Session, batch: Batch) -> None:
    """At once, and in the queue of a batch that is locked."""
    batch.ask("restage")
    batch.reach("STAGED")
    with row_locks(f"{pair.standby.url}/{DATABASE}")(int(batch.url.rpartition("/")[2])):
        answer = http.post(f"{batch.url}/action", json={"action": "run"}, timeout=LIMIT_SECONDS)
        assert answer.status_code == 202, answer.text
    batch.reach("COMPLETED")  # with the answers of the first run
