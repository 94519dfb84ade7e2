"""PostgreSQL becomes read-only, as after a failover: everything is 503 and no connection is kept, until it is over."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
import requests

from app.schema import migrate
from tests.support import databases
from tests.support.batches import Batch
from tests.support.postgres import private_postgres
from tests.support.server import LiveServer, running_server
from tests.support.waiting import LIMIT_SECONDS, wait_until

pytestmark = pytest.mark.usefixtures("read_only")
DOCUMENTS = [{"name": "a", "text": "x"}]
BODY = {
    "documents": DOCUMENTS,
    "prompts": [{"name": "p", "text": "{document}"}],
    "models": [{"connection": "local", "model": "textstats"}],
}


class Database:
    """A server of its own, which becomes read-only while its connections stay, as a demoted one may."""

    def __init__(self, server_url: str, url: str) -> None:
        self.url, self._server_url = url, server_url

    def execute(self, *statements: str) -> list[Any]:
        with closing(psycopg2.connect(f"{self._server_url}/postgres")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def be_read_only(self, on: bool) -> None:
        value = "on" if on else "off"
        self.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}", "SELECT pg_reload_conf()")

    def connections(self) -> int:
        name = self.url.rpartition("/")[2]
        return int(self.execute(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'")[0][0])

    def leaders(self) -> int:
        return int(self.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2")[0][0])


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with private_postgres() as server_url, databases.postgres_database(server_url) as url:
        migrate(url)
        yield Database(server_url, url)


@pytest.fixture(scope="module")
def server(database: Database) -> Iterator[LiveServer]:
    with running_server(database.url) as running:
        yield running


@pytest.fixture
def http(server: LiveServer) -> Iterator[requests.Session]:
    with server.session() as session:
        yield session


@pytest.fixture
def read_only(database: Database) -> Iterator[None]:
    """End what a test began, whatever becomes of the test."""
    yield
    database.be_read_only(False)


def unavailable(answer: requests.Response) -> bool:
    body = answer.json()
    if answer.status_code == 200:
        return False
    assert (answer.status_code, body["code"], body["detail"]) == (503, "unavailable", "The database is read-only.")
    assert int(answer.headers["Retry-After"]) >= 1
    return True


def test_a_change_is_503_and_works_when_it_is_over(database: Database) -> None:
    """Nothing looks at the database here but the calls themselves."""
    with running_server(database.url, SWEEPER="0") as server, server.session() as http:
        batch = Batch(server, http, **BODY)
        database.be_read_only(True)
        rename = {"json": {"name": "another"}, "timeout": LIMIT_SECONDS}
        wait_until(lambda: unavailable(http.patch(batch.url, **rename)), "a change that is 503")
        action = {"json": {"action": "stage"}, "timeout": LIMIT_SECONDS}
        for _ in range(3):
            assert unavailable(http.post(f"{batch.url}/action", **action))
            assert unavailable(http.get(batch.url, timeout=LIMIT_SECONDS))
            assert unavailable(http.post(f"{server.url}/api/batches", json={"name": "n"}, timeout=LIMIT_SECONDS))
            ready = http.get(f"{server.url}/readyz", timeout=LIMIT_SECONDS)
            assert (ready.status_code, ready.json()["reason"]) == (503, "The database is read-only.")
            assert http.get(f"{server.url}/healthz", timeout=LIMIT_SECONDS).status_code == 200
        database.be_read_only(False)
        wait_until(lambda: http.get(f"{server.url}/readyz", timeout=LIMIT_SECONDS).status_code == 200)
        batch.ask("stage")
        assert batch.show()["state"] == "STAGING"


def test_readiness_notices_it_without_a_change(database: Database, server: LiveServer) -> None:
    database.be_read_only(True)
    address = f"{server.url}/readyz"
    wait_until(lambda: requests.get(address, timeout=LIMIT_SECONDS).status_code == 503, "a service that is not ready")
    database.be_read_only(False)
    wait_until(lambda: requests.get(address, timeout=LIMIT_SECONDS).status_code == 200, "a service that is ready")


def test_no_connection_to_it_is_kept(database: Database, server: LiveServer, http: requests.Session) -> None:
    """The sweeper looks, so that an idle service does not keep on reading from a server that was demoted."""
    http.get(f"{server.url}/api/batches", timeout=LIMIT_SECONDS)
    assert database.connections() >= 1
    database.be_read_only(True)
    wait_until(lambda: unavailable(http.get(f"{server.url}/api/batches", timeout=LIMIT_SECONDS)), "a read that is 503")
    wait_until(lambda: database.connections() == 0, "no connection")
    database.be_read_only(False)
    wait_until(lambda: database.leaders() == 1, "a sweeper that leads again")


def test_a_worker_goes_on_when_it_is_over(database: Database, server: LiveServer, http: requests.Session) -> None:
    """A lease is a write: it is 503 meanwhile, never an empty answer, and nothing of the task is lost."""
    batch = Batch(server, http, **BODY)
    batch.ask("stage")
    call = {"worker": "w", "max_tasks": 1, "batch_id": int(batch.url.rpartition("/")[2])}
    database.be_read_only(True)
    wait_until(lambda: http.get(f"{server.url}/readyz", timeout=LIMIT_SECONDS).status_code == 503)
    lease = f"{server.url}/api/tasks/lease"
    assert unavailable(http.post(lease, json=call, timeout=LIMIT_SECONDS))
    database.be_read_only(False)
    wait_until(lambda: http.get(f"{server.url}/readyz", timeout=LIMIT_SECONDS).status_code == 200)
    answer = http.post(lease, json=call, timeout=LIMIT_SECONDS)
    assert [task["attempt"] for task in answer.json()["tasks"]] == [1]
