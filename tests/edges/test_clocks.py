"""The clock of the database is ten minutes before or behind that of the service: the database's decides everywhere."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg2
import pytest
import requests

from app.worker.service.client import Address, Client
from tests.support.batches import Batch
from tests.support.databases import postgres_database
from tests.support.server import LiveServer, running_server
from tests.support.waiting import LIMIT_SECONDS, wait_until

OFF = 600  # seconds: more than any test takes
LEASE_SECONDS = 3_600
BODY = {
    "documents": [{"name": "a", "text": "x"}],
    "prompts": [{"name": "p", "text": "{document}"}],
    "models": [{"connection": "local", "model": "textstats"}],
}


class Skewed(NamedTuple):
    """A service, and how many seconds its database's clock is before its own."""

    server: LiveServer
    seconds: int

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.seconds)


def _set_clock(database_url: str, seconds: int) -> None:
    """Put a function before that of PostgreSQL, for every later connection."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS skewed")
        cursor.execute(
            "CREATE FUNCTION skewed.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql AS"
            f" $$ SELECT pg_catalog.clock_timestamp() + interval '{seconds} s' $$"
        )
        cursor.execute("SELECT current_database()")
        name = cursor.fetchone()[0]
        cursor.execute(f"ALTER DATABASE {name} SET search_path = skewed, pg_catalog, public")
        connection.commit()


@pytest.fixture(scope="module", params=[OFF, -OFF], ids=["database before", "database behind"])
def skewed(request: pytest.FixtureRequest, postgres_server: str, postgres_template: str) -> Iterator[Skewed]:
    with postgres_database(postgres_server, postgres_template) as url:
        _set_clock(url, request.param)
        with running_server(url) as server:
            yield Skewed(server, request.param)


@pytest.fixture
def http(skewed: Skewed) -> Iterator[requests.Session]:
    with skewed.server.session() as session:
        yield session


def near(found: str, wanted: datetime) -> bool:
    return abs((datetime.fromisoformat(found) - wanted).total_seconds()) < OFF / 2


def test_the_clocks_differ(skewed: Skewed, http: requests.Session) -> None:
    """Without that, the other tests prove nothing."""
    assert near(Batch(skewed.server, http, **BODY).show()["created_at"], skewed.now())


def test_events_are_heard(skewed: Skewed, http: requests.Session) -> None:
    with http.get(f"{skewed.server.url}/api/events", stream=True, timeout=LIMIT_SECONDS) as answer:
        lines = answer.iter_lines()
        assert next(lines) == b"retry: 1000"
        batch = Batch(skewed.server, http, **BODY)
        number = batch.url.rpartition("/")[2].encode()
        assert any(line.startswith(b"data: ") and b'"batch_id":%s,' % number in line for line in lines)


def test_an_event_from_before_the_stream_is_not_repeated(skewed: Skewed, http: requests.Session) -> None:
    """A stream begins now, by the clock that the changes have."""
    Batch(skewed.server, http, **BODY)
    with http.get(f"{skewed.server.url}/api/events", stream=True, timeout=LIMIT_SECONDS) as answer:
        lines = answer.iter_lines()
        batch = Batch(skewed.server, http, **BODY)
        first = next(line for line in lines if line.startswith(b"data: "))
    assert b'"batch_id":%s,' % batch.url.rpartition("/")[2].encode() in first


def test_events_go_on_where_they_ended(skewed: Skewed, http: requests.Session) -> None:
    first, second = Batch(skewed.server, http, **BODY), Batch(skewed.server, http, **BODY)
    at = datetime.fromisoformat(first.show()["created_at"])
    headers = {"Last-Event-ID": str(int(at.timestamp() * 1e6))}
    number = second.url.rpartition("/")[2].encode()
    with http.get(f"{skewed.server.url}/api/events", headers=headers, stream=True, timeout=LIMIT_SECONDS) as answer:
        assert any(b'"batch_id":%s,' % number in line for line in answer.iter_lines())


def test_a_worker_knows_how_long_its_lease_lasts(skewed: Skewed, http: requests.Session) -> None:
    """Too long, and it renews the lease when it is over; too short, and it renews it all the time."""
    batch = Batch(skewed.server, http, **BODY)
    batch.ask("stage")
    client = Client(Address(skewed.server.url, skewed.server.tokens["worker"]), "w")
    leased = client.lease(1, 0, LEASE_SECONDS, int(batch.url.rpartition("/")[2]))
    lease = {"task_id": leased.rows[0]["id"], "lease_token": leased.rows[0]["lease_token"]}
    for granted in (leased, client.heartbeat([lease], LEASE_SECONDS)):
        # The service knows the database's time a little late, and counts the seconds from there.
        assert LEASE_SECONDS - OFF / 2 < granted.lease_seconds[0] < LEASE_SECONDS + OFF / 2


def test_a_token_expires_by_the_databases_clock(skewed: Skewed, http: requests.Session) -> None:
    for seconds, is_valid in ((OFF / 2, True), (-OFF / 2, False)):
        expires_at = (skewed.now() + timedelta(seconds=seconds)).isoformat()
        body = {"name": f"t {seconds}", "role": "viewer", "expires_at": expires_at}
        made = http.post(f"{skewed.server.url}/api/tokens", json=body, timeout=LIMIT_SECONDS)
        assert made.status_code == (201 if is_valid else 422), made.text


def test_a_page_shows_ages_by_the_databases_clock(skewed: Skewed, http: requests.Session) -> None:
    batch = Batch(skewed.server, http, **BODY)
    number = batch.url.rpartition("/")[2]
    with requests.Session() as visitor:
        form = visitor.get(f"{skewed.server.url}/sign-in", timeout=LIMIT_SECONDS).text
        values: dict[str, Any] = {"csrf_token": re.findall(r'name="csrf_token"[^>]* value="([^"]+)"', form)[0]}
        values["token"] = skewed.server.tokens["viewer"]
        visitor.post(f"{skewed.server.url}/sign-in", data=values, timeout=LIMIT_SECONDS).raise_for_status()
        text = visitor.get(skewed.server.url, timeout=LIMIT_SECONDS).text
    row = text.split(f'id="batch-{number}"')[1].split("</tr>")[0]
    (words,) = re.findall(r"<time [^>]*>([^<]+)</time>", row)
    minutes = re.findall(r"(\d+) min", words)
    assert int(minutes[0] if minutes else 0) < OFF / 60 / 2
    (now,) = re.findall(r'data-now="([^"]+)"', text)  # from which the scripts of the page count
    created = datetime.fromisoformat(batch.show()["created_at"])
    assert abs((datetime.fromisoformat(now) - created).total_seconds()) < OFF / 2


def test_a_lease_runs_out_by_the_databases_clock(skewed: Skewed, http: requests.Session) -> None:
    batch = Batch(skewed.server, http, **BODY)
    batch.ask("stage")
    client = Client(Address(skewed.server.url, skewed.server.tokens["worker"]), "w")
    client.lease(1, 0, 1, int(batch.url.rpartition("/")[2]))
    wait_until(lambda: batch.list_all("tasks")[0]["status"] == "QUEUED", "the end of the lease")
