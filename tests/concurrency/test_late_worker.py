"""Workers that come too late, and sweepers that look too early: no good result is overwritten, none is lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from sqlalchemy import event

from app.errors import ReportRefused
from app.services import Services
from app.services.reads.task_walk import Wanted
from tests.concurrency import stories
from tests.concurrency.conftest import Call
from tests.concurrency.over_http import answered
from tests.support.process import ROOT
from tests.support.server import Shared
from tests.support.waiting import wait_until

# A worker that does one task: it tells what it leased, works until it is given a line, reports, and tells the answer.
WORKER = """
import sys, requests
url, token, batch_id = sys.argv[1:]
with requests.Session() as http:
    http.headers["Authorization"] = "Bearer " + token
    body = {"worker": "slow", "lease_seconds": 1, "batch_id": int(batch_id)}
    task = http.post(url + "/api/tasks/lease", json=body, timeout=180).json()["tasks"][0]
    print(task["id"], flush=True)
    sys.stdin.readline()
    body = {"lease_token": task["lease_token"], "result": {"text": "late"}}
    answer = http.post(url + "/api/tasks/" + task["id"] + "/complete", json=body, timeout=180)
    print(answer.text, flush=True)
"""


@contextmanager
def a_worker(url: str, token: str, batch_id: int) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", WORKER, url, token, str(batch_id)]
    worker = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield worker
    finally:
        worker.kill()
        worker.communicate()


def test_a_worker_stopped_past_its_lease(shared: Shared, call: Call) -> None:
    """Contract 5: a report with a token whose task was leased again is 409, and its result is kept."""
    client, token = call(shared.server), shared.server.tokens["worker"]
    batch_id = client.analyzing(1)
    with a_worker(shared.server.url, token, batch_id) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        task_id = worker.stdout.readline().strip()
        os.kill(worker.pid, signal.SIGSTOP)
        worker.stdin.write("\n")  # its work is done, but it does not get to say so
        worker.stdin.flush()
        (again,) = wait_until(lambda: client.lease(batch_id=batch_id), "the lease of a task whose lease ran out")
        assert (again["id"], again["attempt"]) == (task_id, 2)
        os.kill(worker.pid, signal.SIGCONT)
        told = orjson.loads(worker.stdout.readline())
    assert (told["status"], told["late_result_kept"]) == (409, True)
    assert "leased again" in told["detail"]
    assert answered(client.complete(again, "in time"))["batch_state"] == "COMPLETED"
    task = client.get(f"/tasks/{task_id}")
    assert task["result"] == {"text": "in time"}
    assert [(late["attempt"], late["outcome"], late["result"]) for late in task["late_results"]] == [
        (1, "completed", {"text": "late"})
    ]


def when_it_looks(services: Services, time: int, then: Callable[[], None]) -> None:
    """Do something after the n-th time that these services looked for leases that ran out."""
    looked = 0

    def after(_: Any, __: Any, statement: str, *___: Any) -> None:
        nonlocal looked
        if "lease_expires_at <=" in statement:
            looked += 1
            if looked == time:
                then()

    event.listen(services.engine, "after_cursor_execute", after)


# SQLite has one writer: once a sweeper's transaction has begun, nobody comes between its statements.
@pytest.mark.parametrize(
    ("database_url", "time"), [("sqlite", 1), ("postgresql", 1), ("postgresql", 2)], indirect=["database_url"]
)
def test_a_report_between_the_sweepers_look_and_its_write(
    services: Services, database_url: str, time: int, another: Callable[[str], Services]
) -> None:
    """Contract 5: a lease that ran out but was given to nobody still counts: the good result stays."""
    sweeping = another(database_url)
    batch_id = stories.analyzing(services, 2)
    first, last = stories.lease(services, batch_id)
    stories.let_leases_run_out(services, batch_id)
    when_it_looks(sweeping, time, lambda: stories.complete(services, first))

    sweeping.sweeper.sweep()

    tasks = {task["id"]: task for task in services.reads.tasks.page(batch_id, Wanted(by_id=True)).tasks}
    assert (tasks[first["id"]]["status"], tasks[last["id"]]["status"]) == ("COMPLETED", "QUEUED")
    assert services.reads.tasks.show(first["id"])["result"] == stories.RESULT
    stories.complete(services, last)  # back in the queue, but nobody else's
    assert stories.state_of(services, batch_id) == "COMPLETED"


def test_a_sweeper_with_an_old_look(services: Services, database_url: str, another: Callable[[str], Services]) -> None:
    """Contract 5: two sweepers see the same lease run out, and somebody leases the task meanwhile: it is left alone."""
    sweeping = another(database_url)
    batch_id = stories.analyzing(services, 1)
    (first,) = stories.lease(services, batch_id)
    stories.let_leases_run_out(services, batch_id)
    again: list[stories.Leased] = []

    def meanwhile() -> None:
        services.sweeper.sweep()
        again.extend(stories.lease(services, batch_id))

    when_it_looks(sweeping, 1, meanwhile)
    sweeping.sweeper.sweep()

    assert services.reads.tasks.show(first["id"])["status"] == "LEASED"
    with pytest.raises(ReportRefused, match="leased again"):
        stories.complete(services, first)
    stories.complete(services, again[0])
    assert stories.state_of(services, batch_id) == "COMPLETED"
