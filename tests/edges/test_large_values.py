"""Memory does not follow from the size of what callers stored: lists, pages and downloads read it in portions."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import requests
from flask import Flask
from sqlalchemy import Connection, create_engine, text

from app.web.large_bodies import MOST_BODIES, SMALL_BYTES
from tests.api.lives import refused
from tests.support import signing_in
from tests.support.batches import Batch
from tests.support.client import ApiClient
from tests.support.databases import NewDatabase
from tests.support.process_memory import measured_memory
from tests.support.server import LiveServer, running_server
from tests.support.waiting import LIMIT_SECONDS

DOCUMENTS, MODELS = 8, 6
VALUES = DOCUMENTS * MODELS
MEGABYTE = 1_000_000
DOCUMENT_BYTES = 24 * MEGABYTE
MOST_GROWN_MB = 40  # of VALUES megabytes, which were twice in memory
MOST_OF_A_REPORT = 4.5  # times its body, of which it had seven copies

ADDRESSES = [
    "/api/batches/{answered}/results",
    "/api/batches/{answered}/results?format=openai",
    "/api/batches/{answered}/report?limit=200",
    "/api/batches/{answered}/report?format=csv",
    "/api/batches/{failed}/tasks?limit=200",
    "/api/batches/{failed}/results?format=openai-errors",
    "/api/batches/{failed}/report?limit=200",
    "/api/batches/{failed}/report?format=csv",
    "/api/tasks/{late}",
    "/api/documents/{document}/content",
    "/batches/{answered}/results",
    "/batches/{answered}/results/sums",
    "/batches/{answered}/results/{compared}",
    "/batches/{answered}/results.jsonl",
    "/batches/{answered}/report.csv",
    "/batches/{failed}",
    "/batches/{failed}/tasks",
    "/batches/{failed}/tasks?code=x",
    "/batches/{failed}/tasks/{late}",
    "/workers",
]


@dataclass
class Stored:
    """A server with large values: its ids by the names in ADDRESSES, and a session that is signed in."""

    server: LiveServer
    http: requests.Session
    ids: dict[str, Any]


def lease(batch: Batch, server: LiveServer) -> list[dict[str, Any]]:
    body = {"worker": "w", "max_tasks": VALUES, "batch_id": int(batch.url.rpartition("/")[2])}
    tasks: list[dict[str, Any]] = batch.http.post(
        f"{server.url}/api/tasks/lease", json=body, timeout=LIMIT_SECONDS
    ).json()["tasks"]
    return tasks


def report(batch: Batch, server: LiveServer, outcome: str, **what: Any) -> None:
    items = [
        {"task_id": each["id"], "lease_token": each["lease_token"], "outcome": outcome, **what}
        for each in lease(batch, server)
    ]
    sent = batch.http.post(f"{server.url}/api/tasks/report", json={"reports": items}, timeout=LIMIT_SECONDS)
    assert {each["status"] for each in sent.json()["reports"]} == {200}


def staged(server: LiveServer, http: requests.Session) -> Batch:
    documents = [{"name": str(number), "text": str(number)} for number in range(DOCUMENTS)]
    models = [{"connection": "c", "model": str(number)} for number in range(MODELS)]
    batch = Batch(server, http, documents=documents, prompts=[{"name": "p", "text": "{document}"}], models=models)
    batch.ask("stage")
    report(batch, server, "completed", result={"text": "read"})
    return batch


def lines() -> bytes:
    line = {"method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}
    return b"\n".join(orjson.dumps({**line, "custom_id": str(number)}) for number in range(VALUES))


def enlarge(connection: Connection, ids: dict[str, Any]) -> None:
    """Let each value be large, in the tables: by calls it would take longer."""
    values = {
        **ids,
        "result": orjson.dumps({"text": "x" * MEGABYTE}).decode(),
        "error": orjson.dumps({"code": "x", "message": "m", "more": "x" * MEGABYTE}).decode(),
        "content": b"x" * DOCUMENT_BYTES,
    }
    late = """INSERT INTO late_results
        (task_id, lease_token, attempt, outcome, error, input_tokens, output_tokens, cost_nanos, at)
        SELECT id, 'late', 1, 'failed', error, 0, 0, 0, finished_at FROM tasks WHERE id = :late"""
    connection.execute(
        text("UPDATE tasks SET result = :result WHERE batch_id = :answered AND kind = 'ANALYZE'"), values
    )
    connection.execute(text("UPDATE tasks SET error = :error WHERE batch_id = :failed"), values)
    connection.execute(text("UPDATE documents SET text = NULL, content = :content WHERE id = :document"), values)
    for number in range(VALUES):
        connection.execute(text(late.replace("'late'", f"'late {number}'")), values)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stored(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Stored]:
    with (
        new_database(request.param) as database_url,
        running_server(database_url) as server,
        server.session() as http,
    ):
        answered, failed = staged(server, http), Batch(server, http, lines=lines())
        failed.ask("stage")
        for batch in (answered, failed):
            batch.ask("run")
        report(answered, server, "completed", result={"text": "answered"})
        report(failed, server, "failed", error={"code": "x", "message": "m"}, retryable=False)
        first, *_, last = answered.list_all("documents")
        ids = {name: int(each.url.rpartition("/")[2]) for name, each in (("answered", answered), ("failed", failed))}
        ids |= {"compared": first["id"], "document": last["id"], "late": int(failed.list_all("tasks")[0]["id"])}
        engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg2:"))
        with engine.begin() as connection:
            enlarge(connection, ids)
        engine.dispose()
        form = signing_in.form_of(http.get(server.url + signing_in.PATH, timeout=60).text, server.tokens["admin"])
        assert http.post(server.url + signing_in.PATH, data=form, timeout=LIMIT_SECONDS).ok
        yield Stored(server, http, ids)


def read_through(answer: requests.Response) -> int:
    return sum(len(piece) for piece in answer.iter_content(MEGABYTE))


@pytest.mark.parametrize("address", ADDRESSES)
def test_reads(stored: Stored, address: str) -> None:
    url = stored.server.url + address.format(**stored.ids)
    with (
        measured_memory(stored.server.web_pids()) as memory,
        closing(stored.http.get(url, stream=True, timeout=LIMIT_SECONDS)) as answer,
    ):
        size = read_through(answer)
    assert answer.status_code == 200
    assert size > 1_000
    assert memory.grown_mb < MOST_GROWN_MB


def test_a_list_ends_early_and_goes_on(stored: Stored) -> None:
    url = f"{stored.server.url}/api/batches/{stored.ids['failed']}/tasks"
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = stored.http.get(url, params={"limit": "200", **cursor}, timeout=LIMIT_SECONDS).json()
        assert 1 <= len(page["tasks"]) < 10
        seen += [task["id"] for task in page["tasks"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(seen) == VALUES == len(set(seen))


def test_late_results_that_are_left_out_are_counted(stored: Stored) -> None:
    task = stored.http.get(f"{stored.server.url}/api/tasks/{stored.ids['late']}", timeout=LIMIT_SECONDS).json()
    assert 1 <= len(task["late_results"]) < 10
    assert len(task["late_results"]) + task["late_results_left_out"] == VALUES


def test_a_document_is_whole(stored: Stored) -> None:
    url = f"{stored.server.url}/api/documents/{stored.ids['document']}/content"
    with closing(stored.http.get(url, stream=True, timeout=LIMIT_SECONDS)) as answer:
        assert read_through(answer) == DOCUMENT_BYTES == int(answer.headers["Content-Length"])


def test_a_report_of_many_results(stored: Stored) -> None:
    batch = Batch(stored.server, stored.http, lines=lines())
    for action in ("stage", "run"):
        batch.ask(action)
    with measured_memory(stored.server.web_pids()) as memory:
        report(batch, stored.server, "completed", result={"text": "x" * MEGABYTE})
    batch.reach("COMPLETED")
    assert memory.grown_mb < MOST_OF_A_REPORT * VALUES


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_json_of_very_many_values(client: ApiClient) -> None:
    """Sixty megabytes of `[],` took 1.8 GB."""
    many = b'{"name": "n", "description": [' + b"[]," * 2_000_000 + b"[]]}"
    problem = refused(client.post("/api/batches", data=many, content_type="application/json"), 422)
    assert problem["errors"] == {"_schema": ["has more than 4,000,000 values"]}
    text_of_marks = {"name": "n", "documents": [{"name": "d", "text": '[],"' * 1_500_000}]}
    assert client.post("/api/batches", json=text_of_marks).status_code == 201
    line = b'{"custom_id": "a", "method": "POST", "url": "/v1/x", "body": [' + b"[]," * 2_000_000 + b"[]]}"
    problem = refused(client.post("/api/batches?name=n", data=line, content_type="application/jsonl"), 422)
    assert problem["errors"] == {"line 1": ["has more than 4,000,000 values"]}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_large_bodies_at_the_same_time(app: Flask, client: ApiClient) -> None:
    """The bodies of one process have a number of bytes together; what each request took is given back."""
    room, most_bytes = app.extensions["interlock_room"], app.config["MAX_CONTENT_LENGTH"]
    body = {"name": "n", "description": None, "documents": [{"name": "d", "text": "x" * SMALL_BYTES}]}
    others = MOST_BODIES * most_bytes - SMALL_BYTES
    assert room.take(others)
    try:
        problem = refused(client.post("/api/batches", json=body), 503)
        assert problem["code"] == "busy"
        assert client.post("/api/batches", json={**body, "documents": []}).status_code == 201
    finally:
        room.give_back(others)
    for _ in range(2):
        assert client.post("/api/batches", json=body).status_code == 201
    assert room.take(MOST_BODIES * most_bytes)
    room.give_back(MOST_BODIES * most_bytes)
