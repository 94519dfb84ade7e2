"""Server processes that end, in order or not: what was answered stays, what nobody did another does."""

import fcntl
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from threading import Barrier

import psycopg2
import requests

from app.services import Services
from tests.concurrency import stories
from tests.concurrency.conftest import Call
from tests.concurrency.over_http import Caller
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS, wait_until

CLIENTS = 8


def somebody_leads(database_url: str) -> bool:
    """Whether a process holds the sweepers' lock."""
    if database_url.startswith("sqlite"):
        path = database_url.removeprefix("sqlite:///") + ".sweeper"
        if not os.path.exists(path):
            return False
        with open(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE locktype = 'advisory' AND objsubid = 2 AND datname = current_database()"
        )
        return bool(cursor.fetchone()[0])


def test_another_sweeps_when_the_leader_is_killed(
    services: Services, database_url: str, start_server: Callable[..., LiveServer]
) -> None:
    """Contract 5: a lease that runs out puts the task back, whichever process is left to see it."""
    leader = start_server(database_url)
    wait_until(lambda: somebody_leads(database_url), "a leader")
    start_server(database_url)
    batch_id = stories.analyzing(services, 1)
    os.killpg(leader.pid, signal.SIGKILL)
    stories.lease(services, batch_id)
    stories.let_leases_run_out(services, batch_id)

    def queued() -> bool:
        return bool(services.reads.batches.show(batch_id)["progress"]["analysis"]["queued"])

    wait_until(queued, "the sweep of the other server")
    assert somebody_leads(database_url)


def test_sigterm_loses_nothing_that_was_answered(
    services: Services, database_url: str, start_server: Callable[..., LiveServer], call: Call
) -> None:
    """Contract 6: a server that is asked to stop answers what it has begun, and every answer is true afterwards."""
    server = start_server(database_url, workers=2)
    batch_id = stories.analyzing(services, 1_000)
    tasks = stories.lease(services, batch_id)
    barrier = Barrier(CLIENTS + 1, timeout=LIMIT_SECONDS)

    def traffic(number: int) -> tuple[list[int], list[str]]:
        client, created, reported = call(server), [], []
        barrier.wait()
        with suppress(requests.ConnectionError):
            for task in tasks[number::CLIENTS]:
                answer = client.complete(task)
                assert answer.status_code == 200, answer.text
                reported.append(task["id"])
                answer = client.post("/batches", {"name": "under traffic"})
                assert answer.status_code == 201, answer.text
                created.append(int(answer.json()["id"]))
        return created, reported

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(traffic, number) for number in range(CLIENTS)]
        barrier.wait()
        wait_until(lambda: services.reads.batches.show(batch_id)["progress"]["analysis"]["completed"] > 40, "traffic")
        assert server.stop() == 0
        told = [client.result() for client in clients]
    made = [batch for created, _ in told for batch in created]
    reported = [task for _, tasks_reported in told for task in tasks_reported]
    assert len(reported) > 40
    assert len(reported) < len(tasks)  # it was stopped in the midst of them
    assert all(stories.state_of(services, batch) == "SAVED" for batch in made)
    assert all(services.reads.tasks.show(task)["status"] == "COMPLETED" for task in reported)


def accepted(url: str, token: str) -> tuple[float, bool]:
    """Ask with a token; return when it was asked, and whether it was accepted."""
    with closing(Caller(url, token)) as client:
        asked_at = time.monotonic()
        status = client.send("GET", "/batches?limit=1").status_code
    assert status in (200, 401)
    return asked_at, status == 200


def test_a_revoked_token_is_refused_by_both(
    services: Services, database_url: str, start_server: Callable[..., LiveServer], call: Call
) -> None:
    """Contract 5: a revoked token is refused from the next second on, in every process."""
    servers = [start_server(database_url), start_server(database_url)]
    token = services.tokens.create("somebody", "viewer")
    for server in servers:  # both have seen it, and may trust it for a while
        assert accepted(server.url, token["token"])[1]
    assert call(servers[0]).send("DELETE", f"/tokens/{token['id']}").status_code == 204
    revoked_at = time.monotonic()
    for server in servers:
        last = wait_until(lambda url=server.url: refused_at(url, token["token"], revoked_at), "the refusal", 10)
        assert last
        assert not accepted(server.url, token["token"])[1]


def refused_at(url: str, token: str, revoked_at: float) -> float | None:
    """When a token was refused, or None while it is still accepted: which it may be for a second."""
    asked_at, ok = accepted(url, token)
    assert not ok or asked_at - revoked_at < 1.0
    return None if ok else asked_at
