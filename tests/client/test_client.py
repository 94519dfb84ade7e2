"""The client against a real service: each kind of call, on threads and on asyncio."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from interlock import AsyncClient, Client
from interlock.errors import (
    Forbidden,
    Invalid,
    NotFound,
    ServiceAway,
    StateRefused,
    TimedOut,
    Unauthenticated,
    UnknownAction,
    VersionMismatch,
)
from tests.client.conftest import UNANSWERED, body, completed
from tests.support.row_locks import row_locks
from tests.support.server import LiveServer, SharedServers
from tests.support.waiting import LIMIT_SECONDS

LINE = '{"custom_id": "m-%d", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "textstats"}}\n'


def test_a_batch_is_seen_through(client: Client) -> None:
    batch_id = completed(client, "seen through")
    rows = list(client.results(batch_id))
    assert {row["status"] for row in rows} == {"COMPLETED"}
    assert len(rows) == 3
    assert [row["trigger"] for row in client.audit(batch_id)][:2] == ["create", "stage"]
    assert len(list(client.tasks(batch_id, status="COMPLETED"))) == 6
    assert client.report(batch_id)["batch_id"] == batch_id
    task = client.task(rows[0]["task_id"])
    assert task["result"] == rows[0]["result"]
    assert [row["name"] for row in client.documents(batch_id)] == ["0.txt", "1.txt", "2.txt"]


def test_a_batch_is_seen_through_on_asyncio(service_with_worker: LiveServer) -> None:
    async def see_through() -> None:
        async with AsyncClient(service_with_worker.url, service_with_worker.tokens["operator"]) as client:
            batch = await client.create(**body("on asyncio"))
            await client.act(batch["id"], "stage", context={"run_when_staged": True}, reason="a test")
            ended = await client.wait(batch["id"], timeout_seconds=LIMIT_SECONDS)
            assert ended["state"] == "COMPLETED"
            assert len([row async for row in client.results(batch["id"])]) == 3
            assert [row["reason"] async for row in client.audit(batch["id"])][1] == "a test"
            with pytest.raises(StateRefused):
                await client.act(batch["id"], "pause")

    asyncio.run(see_through())


def test_pages_are_walked_to_their_end(client: Client) -> None:
    batch = client.create(**body("many documents", 0))
    client.add_documents(batch["id"], [{"name": f"{n}", "text": f"text {n}"} for n in range(450)])
    assert len(list(client.documents(batch["id"]))) == 450


def test_a_refusal_is_an_exception_with_its_facts(client: Client) -> None:
    batch_id = completed(client, "refused")
    with pytest.raises(StateRefused, match=r"^pause needs a batch that is ANALYZING") as refused:
        client.act(batch_id, "pause")
    assert refused.value.problem["allowed_actions"] == ["restage", "reset"]
    with pytest.raises(VersionMismatch):
        client.act(batch_id, "restage", if_version=1)
    with pytest.raises(UnknownAction):
        client.act(batch_id, "explode")
    with pytest.raises(NotFound):
        client.batch(999_999)
    with pytest.raises(Invalid) as invalid:
        client.create("")
    assert "name" in invalid.value.problem["errors"]


def test_a_dry_run_changes_nothing(client: Client) -> None:
    batch = client.create(**body("rehearsed"))
    decision = client.act(batch["id"], "stage", dry_run=True)
    assert decision["dry_run"] is True
    assert decision["effect"]["calls"] == 3
    assert client.batch(batch["id"])["version"] == batch["version"]


def test_edits(client: Client, tmp_path: Path) -> None:
    batch = client.create(**body("edited", 1))
    (tmp_path / "b.txt").write_text("Another document.")
    assert client.add_files(batch["id"], [tmp_path / "b.txt"])["input"]["documents"] == 2
    renamed = client.rename(batch["id"], "renamed", description="why")
    assert (renamed["name"], renamed["description"]) == ("renamed", "why")
    assert client.replace_input(batch["id"], options={"max_attempts": 5})["options"]["max_attempts"] == 5
    first = next(iter(client.documents(batch["id"])))
    client.erase_document(batch["id"], first["id"], reason="asked for")
    copy = client.create("a copy", copy_of=batch["id"])
    assert copy["options"]["max_attempts"] == 5
    version = client.batch(batch["id"])["version"]
    with pytest.raises(VersionMismatch):
        client.archive(batch["id"], if_version=version - 1)
    client.archive(batch["id"], if_version=version)
    with pytest.raises(NotFound):
        client.batch(batch["id"])
    assert [row["trigger"] for row in client.audit(batch["id"])][-1] == "archive"


@pytest.mark.parametrize("name", ["lines.jsonl", "lines.jsonl.gz"])
def test_ready_made_lines(client: Client, tmp_path: Path, name: str) -> None:
    content = "".join(LINE % number for number in range(100)).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    batch = client.create_from_lines("lines & co", tmp_path / name, on_truncated="fail")
    assert (batch["name"], batch["input"]["ready_tasks"]) == ("lines & co", 100)
    assert batch["options"]["on_truncated"] == "fail"


def test_ready_made_lines_on_asyncio(service_with_worker: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text(LINE % 1)

    async def send() -> int:
        async with AsyncClient(service_with_worker.url, service_with_worker.tokens["operator"]) as client:
            batch = await client.create_from_lines("lines", tmp_path / "lines.jsonl")
            return int(batch["input"]["ready_tasks"])

    assert asyncio.run(send()) == 1


def test_the_service_itself(client: Client) -> None:
    completed(client, "for the lists")
    assert [worker["worker"] for worker in client.workers()]
    assert "local" in {row["connection"] for row in client.connections()}
    assert next(iter(client.activity(trigger="create")))["trigger"] == "create"
    made = client.create_token("a client of the tests", "viewer")
    assert made["id"] in {row["id"] for row in client.tokens()}
    with Client(client.url, made["token"]) as viewer, pytest.raises(Forbidden):
        viewer.create("x")
    client.revoke_token(made["id"])
    assert client.call("get", "/healthz").json() == {"status": "ok"}
    assert json.loads(b"".join(client.stream("/api/state-machine")))


def test_who_is_not_signed_in(service_with_worker: LiveServer) -> None:
    with Client(service_with_worker.url, "wrong") as client, pytest.raises(Unauthenticated):
        list(client.batches())


def test_where_no_service_is() -> None:
    with (
        Client("http://127.0.0.1:1", "x", retry_seconds=0.5) as client,
        pytest.raises(ServiceAway, match="does not answer"),
    ):
        client.batch(1)


def test_what_is_waited_for_does_not_happen(client: Client) -> None:
    batch = client.create(**body("waits", model=UNANSWERED))
    with pytest.raises(TimedOut, match="is SAVED"):
        client.wait(batch["id"], {"COMPLETED"}, timeout_seconds=0.2)


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not an address such as"):
        Client(url)


def test_a_queued_request_is_settled(shared_servers: SharedServers) -> None:
    """On PostgreSQL alone: SQLite has no row locks."""
    shared = shared_servers("postgresql")
    with Client(shared.server.url, shared.server.tokens["operator"]) as client:
        batch = client.create(**body("locked"))
        with row_locks(shared.database_url)(batch["id"]):
            queued = client.act(batch["id"], "stage")
            assert (queued["success"], queued["status"]) == (None, "QUEUED")
            with pytest.raises(TimedOut):
                client.settled(queued["request_id"], timeout_seconds=0.1)
        settled = client.settled(queued["request_id"], timeout_seconds=LIMIT_SECONDS)
        assert settled["status"] == "APPLIED"
        assert [row["id"] for row in client.requests(batch["id"])] == [queued["request_id"]]
