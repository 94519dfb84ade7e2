"""A worker's token reads the documents of tasks that are leased, and no others; the real worker gets what it needs."""

import io
import subprocess
import sys
from typing import Any

import pytest

from tests.support.client import ApiClient
from tests.support.process import ROOT
from tests.support.server import SharedServers
from tests.support.waiting import LIMIT_SECONDS, wait_until

UPLOADED = b"a text that was uploaded"


def uploaded(client: ApiClient, amount: int, **prompt: str) -> tuple[int, list[int]]:
    """Create a batch with uploaded documents; return its id and theirs."""
    prompts = [{"name": "p", "text": "x", **prompt}]
    body = {"name": "b", "prompts": prompts, "models": [{"connection": "local", "model": "m"}]}
    batch_id = client.post("/api/batches", json=body).json["id"]
    for number in range(amount):
        file = {"files": (io.BytesIO(UPLOADED + bytes([48 + number])), f"{number}.txt")}
        assert client.post(f"/api/batches/{batch_id}/documents", data=file).status_code == 201
    documents = client.get(f"/api/batches/{batch_id}/documents").json["documents"]
    return batch_id, [each["id"] for each in documents]


def test_it_reads_only_what_is_leased(client: ApiClient) -> None:
    batch_id, (first, second) = uploaded(client, 2)
    worker = client.acting_as("worker")

    def statuses() -> list[int]:
        return [worker.get(f"/api/documents/{each}/content").status_code for each in (first, second)]

    assert statuses() == [403, 403]
    assert client.acting_as("viewer").get(f"/api/documents/{first}/content").status_code == 200
    client.post(f"/api/batches/{batch_id}/action", json={"action": "stage"})
    (task,) = worker.post("/api/tasks/lease", json={"worker": "w"}).json["tasks"]
    assert (task["payload"]["document"]["id"], statuses()) == (first, [200, 403])
    body: dict[str, Any] = {"lease_token": task["lease_token"], "result": {"text": "x"}}
    assert worker.post(f"/api/tasks/{task['id']}/complete", json=body).status_code == 200
    assert statuses() == [403, 403]
    assert worker.get("/api/documents/999999/content").status_code == 404


@pytest.mark.parametrize(("given", "text", "status"), [("images", "", 200), ("text", "x", 403)])
def test_a_task_whose_prompt_gets_pictures_reads_its_document(
    client: ApiClient, given: str, text: str, status: int
) -> None:
    batch_id, (first, second) = uploaded(client, 2, input=given)
    worker = client.acting_as("worker")
    client.post(f"/api/batches/{batch_id}/action", json={"action": "stage"})
    for task in worker.post("/api/tasks/lease", json={"worker": "w", "max_tasks": 2}).json["tasks"]:
        assert task["payload"].get("text_is_optional") == (True if given == "images" else None)
        body: dict[str, Any] = {"lease_token": task["lease_token"], "result": {"text": text}}
        assert worker.post(f"/api/tasks/{task['id']}/complete", json=body).status_code == 200
    client.post(f"/api/batches/{batch_id}/action", json={"action": "run"})
    (task,) = worker.post("/api/tasks/lease", json={"worker": "w"}).json["tasks"]
    assert (task["payload"].get("images") or {}).get("content_url") == (
        f"/api/documents/{first}/content" if given == "images" else None
    )
    found = [worker.get(f"/api/documents/{each}/content").status_code for each in (first, second)]
    assert found == [status, 403]


def test_the_real_worker_downloads_what_it_stages(module_servers: SharedServers) -> None:
    server = module_servers("sqlite").server
    with server.session() as http:
        batches = f"{server.url}/api/batches"
        model = {"connection": "local", "model": "textstats"}
        body = {"name": "b", "prompts": [{"name": "p", "text": "{document}"}], "models": [model]}
        batch = f"{batches}/{http.post(batches, json=body).json()['id']}"
        http.post(f"{batch}/documents", files={"files": ("a.txt", UPLOADED)}).raise_for_status()
        http.post(f"{batch}/action", json={"action": "stage"}).raise_for_status()
        command = [sys.executable, "-m", "app.worker", "--url", server.url, "--token", server.tokens["worker"]]
        worker = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: http.get(batch).json()["state"] in ("STAGED", "FAILED"))
        finally:
            worker.terminate()
            worker.wait(LIMIT_SECONDS)
        (task,) = [each for each in http.get(f"{batch}/tasks").json()["tasks"] if each["kind"] == "STAGE"]
        assert task["status"] == "COMPLETED", task
