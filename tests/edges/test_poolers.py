"""A service and its worker with the database behind PgBouncer, which pools by session or by transaction."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
import requests

from app.poolers import NO_TRANSACTIONS
from tests.support.batches import Batch
from tests.support.databases import NewDatabase
from tests.support.pgbouncer import MODES
from tests.support.postgres import free_port
from tests.support.process import finished
from tests.support.row_locks import row_locks
from tests.support.server import Shared, running_server
from tests.support.waiting import LIMIT_SECONDS, wait_until

BODY = {
    "documents": [{"name": f"{number}.txt", "text": f"Some {number} words."} for number in range(20)],
    "prompts": [{"name": "p", "text": "{document}"}],
    "models": [{"connection": "local", "model": "textstats"}],
}
PoolerUrls = Callable[[str], str]


@pytest.fixture(scope="module", params=MODES)
def pooled(request: pytest.FixtureRequest, pooler_urls: PoolerUrls, new_database: NewDatabase) -> Iterator[Shared]:
    """Two server processes and a worker; the URL is that of the database without the pooler."""
    with new_database("postgresql") as url:
        through = f"{pooler_urls(request.param)}/{url.rpartition('/')[2]}"
        with running_server(through, workers=2, EMBEDDED_WORKER="1") as server:
            yield Shared(server, url)


@pytest.fixture
def http(pooled: Shared) -> Iterator[requests.Session]:
    with pooled.server.session() as session:
        yield session


def leaders(url: str) -> list[tuple[int, bool]]:
    """List the sessions that hold the sweepers' lock: the process id, and whether it keeps a snapshot."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, backend_xmin IS NOT NULL FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND objsubid = 2 AND datname = current_database()"
        )
        return cursor.fetchall()


def test_a_batch_is_worked_through(pooled: Shared, http: requests.Session) -> None:
    batch = Batch(pooled.server, http, **BODY)
    batch.ask("stage")
    batch.reach("STAGED")
    batch.ask("run")
    assert batch.reach("COMPLETED")["progress"]["analysis"]["completed"] == 20
    assert [task["attempt"] for task in batch.list_all("tasks")] == [1] * 40


def test_a_request_for_a_locked_batch_is_queued_and_applied_when_it_is_free(
    pooled: Shared, http: requests.Session
) -> None:
    """The lock timeout is in force, or the request would wait for the lock; the sweeper applies it."""
    batch = Batch(pooled.server, http, **BODY)
    with row_locks(pooled.database_url)(int(batch.url.rpartition("/")[2])):
        answer = http.post(f"{batch.url}/action", json={"action": "stage"}, timeout=LIMIT_SECONDS)
        assert (answer.status_code, answer.json()["status"]) == (202, "QUEUED")
    batch.reach("STAGED")


def test_one_process_sweeps_and_another_one_when_it_is_killed(pooled: Shared, http: requests.Session) -> None:
    def one_leads() -> bool:
        return len(leaders(pooled.database_url)) == 1

    wait_until(one_leads, "a leader")
    for pid in pooled.server.web_pids():
        os.kill(pid, signal.SIGKILL)
    wait_until(one_leads, "another leader")
    batch = Batch(pooled.server, http, **BODY)
    with row_locks(pooled.database_url)(int(batch.url.rpartition("/")[2])):
        http.post(f"{batch.url}/action", json={"action": "stage"}, timeout=LIMIT_SECONDS)
    wait_until(lambda: batch.show()["state"] != "SAVED", "the sweep")


def test_the_one_that_leads_keeps_no_old_rows(pooled: Shared) -> None:
    """Its transaction is always open; a snapshot would stop VACUUM."""
    wait_until(lambda: [keeps for _, keeps in leaders(pooled.database_url)] == [False], "a leader without a snapshot")


def test_pooling_by_statement_is_refused_at_the_start(pooler_urls: PoolerUrls) -> None:
    settings = {"DATABASE_URL": f"{pooler_urls('statement')}/postgres", "PORT": str(free_port())}
    ended = finished("-m", "app.cli", "serve", env={**os.environ, **settings})
    assert (ended.returncode, ended.stderr.strip()) == (1, f"Error: {NO_TRANSACTIONS}")
