"""The answer was lost on the wire, and the client asks again: no harm, for any call that changes something."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.concurrency.over_http import READY_LINE, Caller, answered
from tests.concurrency.proxy import HEADER, losing_proxy
from tests.support.server import Shared


class Forgetful:
    """A client behind the proxy: loses the answer to each call, and makes the call again."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def twice(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """Call and hear nothing, then call again; return the second answer."""
        with pytest.raises(requests.ConnectionError):
            self._client.send(method, path, body, **{HEADER: "1"}, **headers)
        return self._client.send(method, path, body, **headers)

    def post(self, path: str, body: Any) -> requests.Response:
        return self.twice("POST", path, body)

    def with_key(self, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        """Call twice with one Idempotency-Key; return the body, which has to be the first answer's."""
        again = self.twice("POST", path, body, Idempotency_Key=uuid4().hex, **headers)
        assert again.headers["Idempotency-Replayed"] == "true"
        return answered(again, status)


@pytest.fixture
def client(shared: Shared) -> Iterator[Caller]:
    with closing(Caller(shared.server.url, shared.server.tokens["admin"])) as made:
        yield made


@pytest.fixture
def forgetful(shared: Shared) -> Iterator[Forgetful]:
    with losing_proxy(shared.server.url) as url, closing(Caller(url, shared.server.tokens["admin"])) as behind:
        yield Forgetful(behind)


def ref(task: dict[str, Any]) -> dict[str, str]:
    return {"task_id": task["id"], "lease_token": task["lease_token"]}


def test_creations_with_a_key(client: Caller, forgetful: Forgetful) -> None:
    """Contract 4: the same key gets the first answer again: one batch, one more document, one token."""
    name = uuid4().hex
    batch = forgetful.with_key("/batches", {"name": name}, 201)
    assert [each["id"] for each in client.get(f"/batches?name={name}")["batches"]] == [batch["id"]]

    documents = {"documents": [{"name": "a.txt", "text": "read me"}]}
    after = forgetful.with_key(f"/batches/{batch['id']}/documents", documents, 201)
    assert after["version"] == client.batch(batch["id"])["version"] == 2
    assert [row["trigger"] for row in client.audit(batch["id"])] == ["create", "add_documents"]

    token = forgetful.with_key("/tokens", {"name": name, "role": "viewer"}, 201)
    listed = [each["id"] for each in client.get("/tokens?limit=200")["tokens"] if each["name"] == name]
    assert listed == [token["id"]]
    seen = client.send("GET", "/batches", Authorization=f"Bearer {token['token']}")
    assert seen.status_code == 200  # the secret that is shown once is shown


def test_uploads_with_a_key(client: Caller, forgetful: Forgetful) -> None:
    """Contract 4: the same holds for a body that is no JSON: ready-made tasks, and files."""
    name, lines = uuid4().hex, READY_LINE % 1 + READY_LINE % 2
    batch = forgetful.with_key(f"/batches?name={name}", lines, 201, Content_Type="application/jsonl")
    assert [each["id"] for each in client.get(f"/batches?name={name}")["batches"]] == [batch["id"]]

    empty = answered(client.post("/batches", {"name": name}), 201)
    disposition = b'Content-Disposition: form-data; name="files"; filename="a.txt"\r\nContent-Type: text/plain'
    body = b"--edge\r\n" + disposition + b"\r\n\r\nread me\r\n--edge--\r\n"
    kind = "multipart/form-data; boundary=edge"
    after = forgetful.with_key(f"/batches/{empty['id']}/documents", body, 201, Content_Type=kind)
    assert after["version"] == client.batch(empty["id"])["version"] == 2


def test_actions(client: Caller, forgetful: Forgetful) -> None:
    """Contract 4: an action asked twice is done once: by its key, by the table, or by the version."""
    batch_id = client.create_ready(2)
    answer = forgetful.with_key(f"/batches/{batch_id}/action", {"action": "stage"})
    assert (answer["success"], answer["version"]) == (True, 2)
    refused = forgetful.post(f"/batches/{batch_id}/action", {"action": "run"})
    assert answered(refused, 409)["current_state"] == "ANALYZING"  # the reason tells that it is done
    body = {"action": "pause"}
    stale = forgetful.twice("POST", f"/batches/{batch_id}/action", body, If_Match='"4"')
    assert answered(stale, 412)["current_state"] == "PAUSED"
    rows = [row["trigger"] for row in client.audit(batch_id)]
    assert rows == ["create", "stage", "staging_completed", "run", "pause"]


def test_edits(client: Caller, forgetful: Forgetful) -> None:
    """Contract 4: an edit asked twice with the version it saw is made once; a batch is archived once."""
    batch_id = client.create_ready(1)
    assert forgetful.twice("PATCH", f"/batches/{batch_id}", {"name": "new"}, If_Match='"1"').status_code == 412
    assert client.batch(batch_id)["name"] == "new"
    assert forgetful.twice("DELETE", f"/batches/{batch_id}").status_code == 404
    assert [row["trigger"] for row in client.audit(batch_id)] == ["create", "rename", "archive"]
    token = answered(client.post("/tokens", {"name": uuid4().hex, "role": "viewer"}), 201)
    assert forgetful.twice("DELETE", f"/tokens/{token['id']}").status_code == 404
    assert client.send("GET", "/batches", Authorization=f"Bearer {token['token']}").status_code == 401


def test_leases(client: Caller, forgetful: Forgetful) -> None:
    """Contract 5: a lease asked twice with a key is one; a heartbeat and a release sent twice are one."""
    batch_id = client.analyzing(4)
    body = {"worker": "w", "max_tasks": 2, "batch_id": batch_id}
    tasks = forgetful.with_key("/tasks/lease", body)["tasks"]
    assert len(tasks) == 2
    counts = client.batch(batch_id)["progress"]["analysis"]
    assert (counts["queued"], counts["leased"]) == (2, 2)
    refs = [ref(task) for task in tasks]
    beats = answered(forgetful.post("/tasks/heartbeat", {"worker": "w", "lease_seconds": 60, "leases": refs}))
    assert [beat["ok"] for beat in beats["leases"]] == [True, True]
    released = answered(forgetful.post("/tasks/release", {"leases": refs[:1]}))
    assert [each["ok"] for each in released["leases"]] == [True]
    shown = client.get(f"/tasks/{refs[0]['task_id']}")
    assert (shown["status"], shown["attempt"]) == ("QUEUED", 0)
    # A release that is repeated when another has the task already takes it from nobody.
    again = client.lease(4, batch_id=batch_id)
    answered(client.post("/tasks/release", {"leases": refs[:1]}))
    assert client.batch(batch_id)["progress"]["analysis"]["leased"] == 1 + len(again) == 4


def test_reports(client: Caller, forgetful: Forgetful) -> None:
    """Contract 5: the same report again is answered 200 with the status then given, even after the batch moved on."""
    batch_id = client.analyzing(4)
    one, two, three, four = client.lease(4, batch_id=batch_id)
    result = {"result": {"text": "paid for"}}
    told = answered(forgetful.post(f"/tasks/{one['id']}/complete", {"lease_token": one["lease_token"], **result}))
    assert (told["status"], told["batch_state"]) == ("COMPLETED", "ANALYZING")

    error = {"lease_token": two["lease_token"], "error": {"code": "timeout", "message": "no answer"}}
    told = answered(forgetful.post(f"/tasks/{two['id']}/fail", {**error, "retry_after_seconds": 0}))
    assert told["status"] == "QUEUED"
    (again,) = client.lease(batch_id=batch_id)
    assert (again["id"], again["attempt"]) == (two["id"], 2)  # failed once, not twice
    answered(forgetful.post(f"/tasks/{two['id']}/fail", {**error, "retry_after_seconds": 0}))  # long known
    assert client.get(f"/tasks/{two['id']}")["status"] == "LEASED"

    last = [{**ref(task), "outcome": "completed", **result} for task in (again, three, four)]
    told = answered(forgetful.post("/tasks/report", {"reports": last}))
    assert [each["status"] for each in told["reports"]] == [200] * 3
    batch = client.batch(batch_id)
    assert (batch["state"], batch["version"], batch["progress"]["analysis"]["completed"]) == ("COMPLETED", 5, 4)
    assert all(client.get(f"/tasks/{task['id']}")["late_results"] == [] for task in (one, two, three, four))
