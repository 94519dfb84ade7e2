"""Server processes that end, in order or not: what was answered stays, what nobody did another does."""

import fcntl
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from threading import Barrier

import psycopg2
import pytest
import requests

from app.services import Services
from app.services.access.tokens import TRUSTED_SECONDS
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


@pytest.mark.soak(rounds=4)
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


@pytest.mark.soak(rounds=4)
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
        mine = iter(tasks[number::CLIENTS])
        barrier.wait()
        with suppress(requests.ConnectionError):
            while True:  # to the end of the server, however fast it is
                if task := next(mine, None):
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
    assert all(stories.state_of(services, batch) == "SAVED" for batch in made)
    assert all(services.reads.tasks.show(task)["status"] == "COMPLETED" for task in reported)


def accepted(url: str, token: str) -> bool:
    """Ask with a token; return whether it was accepted."""
    with closing(Caller(url, token)) as client:
        status = client.send("GET", "/batches?limit=1").status_code
    assert status in (200, 401)
    return status == 200


def test_a_revoked_token_is_refused_by_both(
    services: Services, database_url: str, start_server: Callable[..., LiveServer], call: Call
) -> None:
    """Contract 5: a revoked token is refused from the next second on, in every process."""
    assert TRUSTED_SECONDS < 1  # what a process saw of a token counts so long and no longer
    servers = [start_server(database_url), start_server(database_url)]
    token = services.tokens.create("somebody", "viewer")
    for server in servers:  # both have seen it, and may trust it for a while
        assert accepted(server.url, token["token"])
    assert call(servers[0]).send("DELETE", f"/tokens/{token['id']}").status_code == 204
    for server in servers:
        wait_until(lambda url=server.url: not accepted(url, token["token"]), "the refusal")
        assert not accepted(server.url, token["token"])
