"""docs/contract.md, the OpenAPI document and real answers name the same headers."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from app import create_app
from config import Config
from tests.api.calls import CALLS
from tests.api.lives import PROMPT, ask, bring, create, lease
from tests.contract import page
from tests.contract.test_page_and_document import ON_PAGE, operation, resolved
from tests.support.client import ApiClient

ACTION = "POST /api/batches/{batch_id}/action"
_HEADER = re.compile(r"`(ETag|Location|Retry-After|X-Media-Type|Database-Time)\b")
REALM = 'Bearer realm="interlock"'


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    url = f"sqlite:///{tmp_path_factory.mktemp('headers') / 'empty.db'}"
    body: dict[str, Any] = create_app(Config(database_url=url)).test_client().get("/api/openapi.json").json
    return body


def described(document: dict[str, Any], call: str, status: str) -> set[str]:
    """The headers that the document has for an answer."""
    return set(resolved(document, operation(document, call)["responses"][status]).get("headers", {}))


def promised(call: str, status: str) -> set[str]:
    """The headers that the page names for an answer."""
    text = ON_PAGE[call].answer
    if call == ACTION:
        (text,) = re.findall(rf"\| {status}, (.+?) \|", page.section("Body: request an action"))
    of_tasks = _HEADER.findall(page.section("Workers")) if "/api/tasks/" in call else []
    return {*_HEADER.findall(text), *of_tasks}


@pytest.mark.parametrize("call", sorted(map(str, CALLS)))
def test_headers_of_each_call(document: dict[str, Any], call: str) -> None:
    """Contract 5: the headers beside a body that is not a refusal."""
    for status in ("200", "202") if call == ACTION else (ON_PAGE[call].status,):
        assert described(document, call, status) == promised(call, status)


def answers(client: ApiClient) -> Iterator[tuple[str, Any]]:
    """Make each call that answers with headers of its own."""
    batch_id = create(client)["id"]
    path = f"/api/batches/{batch_id}"
    document = client.get(f"{path}/documents").json["documents"][0]["id"]
    yield "POST /api/batches", client.post("/api/batches", json={"name": "b", "prompts": [PROMPT]})
    yield "GET /api/batches/{batch_id}", client.get(path)
    yield "PATCH /api/batches/{batch_id}", client.patch(path, json={"name": "c"})
    yield "PUT /api/batches/{batch_id}/input", client.put(f"{path}/input", json={"options": {"priority": 1}})
    of_batch = "/api/batches/{batch_id}/documents"
    yield f"POST {of_batch}", client.post(f"{path}/documents", json={"documents": [{"name": "d", "text": "d"}]})
    yield f"PUT {of_batch}/{{document_id}}", client.put(f"{path}/documents/{document}", json={"text": "e"})
    yield "GET /api/documents/{document_id}/content", client.get(f"/api/documents/{document}/content")
    yield f"DELETE {of_batch}/{{document_id}}", client.delete(f"{path}/documents/{document}")
    yield ACTION, ask(client, batch_id, "reset")
    yield "POST /api/tokens", client.post("/api/tokens", json={"name": "jane", "role": "viewer"})
    webhook = {"url": "https://example.com/", "types": ["batch.paused"]}
    yield "POST /api/webhooks", client.post("/api/webhooks", json=webhook)
    one, two = lease(client, bring(client, "ANALYZING")["id"])
    yield "GET /api/tasks/{task_id}", client.get(f"/api/tasks/{one['id']}")
    yield "POST /api/tasks/lease", client.post("/api/tasks/lease", json={"worker": "w"})
    held = {"leases": [{"task_id": one["id"], "lease_token": one["lease_token"]}]}
    for call in ("heartbeat", "release"):
        yield f"POST /api/tasks/{call}", client.post(f"/api/tasks/{call}", json=held)
    report = {"lease_token": two["lease_token"], "result": {}}
    done = f"/api/tasks/{two['id']}/complete"
    yield "POST /api/tasks/{task_id}/complete", client.post(done, json=report)
    failure = {"lease_token": one["lease_token"], "error": {"code": "x", "message": "y"}}
    yield "POST /api/tasks/report", client.post("/api/tasks/report", json={"reports": []})
    assert client.post(f"/api/tasks/{one['id']}/fail", json=failure).status_code == 409


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_answers_have_their_headers(client: ApiClient, document: dict[str, Any]) -> None:
    """Contract 5: each header of the document is in the answer; all calls that have one are made here."""
    made = set()
    for call, answer in answers(client):
        assert str(answer.status_code) == ("200" if call == ACTION else ON_PAGE[call].status), call
        assert described(document, call, str(answer.status_code)) - set(answer.headers.keys()) == set(), call
        made.add(call)
    with_headers = {str(call) for call in CALLS if promised(str(call), ON_PAGE[str(call)].status)}
    assert with_headers - made == {"POST /api/tasks/{task_id}/fail"}  # its answer is made as that of complete


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_queued_answer_has_its_headers(client: ApiClient, database_url: str, document: dict[str, Any]) -> None:
    """Contract 5: the 202. PostgreSQL alone: SQLite has no row locks."""
    batch_id = create(client)["id"]
    with psycopg2.connect(database_url) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT id FROM batches WHERE id = %s FOR UPDATE", (batch_id,))
        queued = ask(client, batch_id, "stage")
    holder.close()
    assert queued.status_code == 202
    assert described(document, ACTION, "202") - set(queued.headers.keys()) == set()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_realm(client: ApiClient, document: dict[str, Any]) -> None:
    """Contract 5: 401 and 403 name the realm of the tokens, whatever refuses."""
    batch_id = bring(client, "STAGING")["id"]
    content = client.get(f"/api/batches/{batch_id}/documents").json["documents"][0]["id"]
    stranger, worker, viewer = (client.acting_as(role) for role in (None, "worker", "viewer"))
    refusals = [
        stranger.get("/api/batches"),
        viewer.post("/api/batches", json={"name": "b"}),
        worker.get(f"/api/documents/{content}/content"),
    ]
    assert [each.status_code for each in refusals] == [401, 403, 403]
    assert [each.headers.getlist("WWW-Authenticate") for each in refusals] == [[REALM]] * 3
    assert REALM in page.section("Roles")
    for status in ("401", "403"):
        assert described(document, "GET /api/batches", status) == {"WWW-Authenticate"}


def test_the_header_of_a_stream_that_goes_on(document: dict[str, Any]) -> None:
    """Contract 5: `Last-Event-ID` of `/api/events`."""
    parameters = operation(document, "GET /api/events")["parameters"]
    assert {(each["in"], each["name"]) for each in parameters} == {("header", "Last-Event-ID")}
    assert "`Last-Event-ID`" in page.TEXT
