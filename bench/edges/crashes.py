"""The service is killed and its disk is full, in turns, while workers report: no acknowledged answer is lost."""

import os
import secrets
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import orjson
import requests

from app.schema import migrate
from app.services import build
from app.services.upkeep.verify import verify
from bench.edges.disk import Disk, small_disk
from bench.edges.options import Edges
from bench.results import Result
from config import Config
from tests.edges.worker_process import LINE
from tests.support.batches import Batch
from tests.support.server import LiveServer, running_server
from tests.support.waiting import LIMIT_SECONDS, wait_until

TASKS = 20_000
REPORTERS = 4
AT_LEAST = 5  # answers are acknowledged between two crashes
REFUSALS = 5  # are seen before there is room again


def crashes(edges: Edges) -> list[Result]:
    """The service is killed and its disk is full in turns; every answer that was acknowledged is there at the end."""
    with small_disk() as disk:
        service = Service(f"sqlite:///{disk.folder}/interlock.db")
        migrate(service.database_url)
        with service.started() as server, server.session() as http:
            results = _running_batch(server, http)
        reporting = Reporting(service)
        with reporting.begun():
            _crash_in_turns(edges, disk, service, reporting)
        with service.started() as server, server.session() as http:
            lines = http.get(server.url + results, timeout=LIMIT_SECONDS).text.splitlines()
        answers = {line["task_id"]: line["result"] for line in map(orjson.loads, lines)}
        missing = sum(answers.get(task) != {"of": task} for task in reporting.acknowledged)
        return _results(edges, disk, reporting, missing, _contradictions(service.database_url))


def _running_batch(server: LiveServer, http: requests.Session) -> str:
    """Make a batch at work, and return the path of its results."""
    batch = Batch(server, http, lines="".join(LINE % (number, number) for number in range(TASKS)).encode())
    batch.ask("stage")
    wait_until(lambda: batch.show()["state"] == "STAGED", "a staged batch")
    batch.ask("run")
    return f"{batch.url.removeprefix(server.url)}/results"


def _crash_in_turns(edges: Edges, disk: Disk, service: "Service", reporting: "Reporting") -> None:
    done = 0
    while done < edges.rounds:
        with service.started() as server:
            edges.progress.say(f"{done} of {edges.rounds}; {len(reporting.acknowledged):,} answers are acknowledged")
            reporting.go_on()
            if done + 1 < edges.rounds:
                with disk.full(server.web_pids()):
                    reporting.are_refused()
                reporting.go_on()
            os.killpg(server.pid, signal.SIGKILL)
            server.process.wait(LIMIT_SECONDS)
        done += 2


def _results(edges: Edges, disk: Disk, reporting: "Reporting", missing: int, contradictions: int) -> list[Result]:
    what = f"killed and its disk full ({'tmpfs' if disk.mounted else 'limit of files'}) in turns, {edges.rounds} times"
    refusals = ", ".join(f"{amount} x {why}" for why, amount in sorted(reporting.refused.items()))
    return [
        Result(
            f"{what}: acknowledged answers that are lost",
            f"{missing} of {len(reporting.acknowledged):,}",
            f"refused meanwhile: {refusals}",
            value=missing,
            at_most=0,
        ),
        Result(f"{what}: contradictions found by `verify`", str(contradictions), value=contradictions, at_most=0),
    ]


def _contradictions(url: str) -> int:
    services = build(Config(database_url=url))
    found = list(verify(services.engine))
    services.engine.dispose()
    return len(found)


class Service:
    """The service, which is started again and again on one database. `url` is where it runs, or ran last."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self.token = secrets.token_urlsafe(32)
        self.url = ""

    @contextmanager
    def started(self) -> Iterator[LiveServer]:
        with running_server(self.database_url, ADMIN_TOKEN=self.token) as server:
            self.url = server.url
            yield server


class Reporting:
    """Threads that lease tasks, and report each one again and again until it is acknowledged."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._ended = threading.Event()
        self.acknowledged: list[str] = []
        self.refused: Counter[str] = Counter()

    @contextmanager
    def begun(self) -> Iterator[None]:
        with ThreadPoolExecutor(REPORTERS) as pool:
            threads = [pool.submit(self._work) for _ in range(REPORTERS)]
            try:
                yield
            finally:
                self._ended.set()
        for thread in threads:
            thread.result()

    def go_on(self) -> None:
        """Wait until more answers are acknowledged."""
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) >= before + AT_LEAST, lambda: f"answers after {dict(self.refused)}")

    def are_refused(self) -> None:
        """Wait until the service has refused something."""
        before = self.refused.total()
        wait_until(lambda: self.refused.total() >= before + REFUSALS, "refusals")

    def _work(self) -> None:
        with requests.Session() as http:
            http.headers["Authorization"] = f"Bearer {self._service.token}"
            while not self._ended.is_set():
                lease = {"worker": "w", "max_tasks": 10, "lease_seconds": 86_400}
                for task in self._sent(http, "/api/tasks/lease", lease).get("tasks", []):
                    body = {"lease_token": task["lease_token"], "result": {"of": task["id"]}}
                    if self._sent(http, f"/api/tasks/{task['id']}/complete", body):
                        self.acknowledged.append(task["id"])

    def _sent(self, http: requests.Session, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a call again and again until its answer is 200. Return nothing when all ends before that."""
        while not self._ended.is_set():
            try:
                answer = http.post(self._service.url + path, json=body, timeout=LIMIT_SECONDS)
            except requests.ConnectionError:
                self.refused["no answer"] += 1
            else:
                if answer.status_code == 200:
                    return dict(answer.json())
                self.refused[f"{answer.status_code} {answer.json()['detail']}"] += 1
            self._ended.wait(0.02)
        return {}
