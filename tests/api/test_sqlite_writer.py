"""SQLite has one writer and no row locks: what a call meets while another program writes.

SQLite alone: PostgreSQL's row locks are met in test_requests.py and test_batches_show.py.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from app import db
from app.services import Services
from tests.api.lives import act, answered, ask, bring, create, lease, refused, show
from tests.support.client import ApiClient
from tests.support.waiting import LIMIT_SECONDS

Hold = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def database_url(request: pytest.FixtureRequest, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database whose callers wait for their turn a second, not five: a test waits for the end of it."""
    monkeypatch.setattr(db, "SQLITE_WAIT_SECONDS", getattr(request, "param", 1))
    return sqlite_url


@pytest.fixture
def hold(database_url: str) -> Hold:
    """Be the one writer for as long as the block lasts."""

    @contextmanager
    def held() -> Iterator[None]:
        path = Path(database_url.removeprefix("sqlite:///"))
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    return held


@pytest.mark.parametrize("database_url", [LIMIT_SECONDS], indirect=True, ids=["patient"])
def test_a_request_waits_for_its_turn(client: ApiClient, service: Services, hold: Hold) -> None:
    """Contract 4: there a request waits for its turn: it is decided when the other writer is done, and not queued."""
    batch, answers = create(client), []
    other, begins = client.acting_as("admin"), threading.Event()
    # The first listener: the next one begins the transaction, which waits.
    event.listen(service.engine, "begin", lambda _: begins.set(), insert=True)
    thread = threading.Thread(target=lambda: answers.append(ask(other, batch["id"], "stage")))
    with hold():
        thread.start()
        assert begins.wait(LIMIT_SECONDS)
        assert answers == []
    thread.join(LIMIT_SECONDS)
    assert answered(answers[0])["new_state"] == "STAGING"


def test_503_when_its_turn_does_not_come(client: ApiClient, hold: Hold) -> None:
    """Contract 4: up to 5 s, then 503 with `Retry-After`; nothing is changed, nothing is queued."""
    batch = bring(client, "STAGED")
    with hold():
        answer = ask(client, batch["id"], "run")
        assert refused(answer, 503)["code"] == "busy"
        assert int(answer.headers["Retry-After"]) >= 1
        refused(client.post("/api/batches", json={"name": "n"}), 503)
    assert show(client, batch["id"]) == batch
    assert answered(client.get(f"/api/batches/{batch['id']}/requests"))["requests"] == []
    assert act(client, batch["id"], "run")["state"] == "ANALYZING"


def test_reads_never_wait(client: ApiClient, hold: Hold) -> None:
    """Contract 4: reads never wait; nor does a dry run, which reads alone, nor a lease where there is no work."""
    batch = bring(client, "STAGED")
    with hold():
        for path in ("", "/actions", "/audit", "/tasks", "/results", "/requests"):
            assert client.get(f"/api/batches/{batch['id']}{path}").status_code == 200
        assert client.get("/api/batches").status_code == 200
        assert client.get("/readyz").status_code == 200
        assert client.get("/metrics").status_code == 200
        assert answered(ask(client, batch["id"], "run", dry_run=True))["new_state"] == "ANALYZING"
        assert lease(client) == []


def test_503_frees_the_key(client: ApiClient, hold: Hold) -> None:
    """Contract 4: a call that was not decided may be made again with the same key."""
    headers = {"Idempotency-Key": "k"}
    with hold():
        refused(client.post("/api/batches", json={"name": "n"}, headers=headers), 503)
    assert client.post("/api/batches", json={"name": "n"}, headers=headers).status_code == 201


def test_five_seconds_by_default() -> None:
    """Contract 4: up to 5 s."""
    assert db.SQLITE_WAIT_SECONDS == 5
