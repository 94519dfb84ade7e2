"""Traces of an erased document: what workers quoted of it, and answers that are kept for an Idempotency-Key."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.models import Document
from app.services import Services
from app.services.input import edits
from tests.keeping.test_erase import OTHER, SECRET, create_of, documents_of, erase, everything, of_folder, work
from tests.services import stories
from tests.services.stories import OPERATOR, act, audit, rows_of, view
from tests.support.client import ApiClient

KEY = {"Idempotency-Key": "once"}
QUOTED = {"code": "unreadable", "message": f"cannot read {SECRET!r}"}


def fail_staging(services: Services, batch_id: int) -> str:
    """Fail the staging of a run with a message that quotes the document; return the task's id."""
    task = stories.lease_one(services, batch_id)
    stories.fail(services, task, retryable=False, error=QUOTED)
    assert view(services, batch_id)["state"] == "FAILED"
    return str(task["id"])


def test_the_failure_of_an_earlier_run(services: Services, client: ApiClient) -> None:
    """The audit row names the task, and is shown with its message as long as there is one."""
    batch_id = create_of(services, SECRET)
    act(services, batch_id, "stage")
    task_id = fail_staging(services, batch_id)
    act(services, batch_id, "restage")
    work(services, batch_id)
    failed = audit(services, batch_id)[2]
    assert failed["reason"] == f"A document could not be staged. {QUOTED['message']}"
    assert failed["context"] == {"failure": "staging_failed", "task_id": task_id}
    erase(client, batch_id, documents_of(services, batch_id)[0])
    assert SECRET not in everything(services)
    shown = audit(services, batch_id)[2]
    assert shown["reason"] == "A document could not be staged. The document was erased on request."
    assert SECRET not in client.get(f"/api/batches/{batch_id}/audit").text


def test_a_critical_failure(services: Services, client: ApiClient) -> None:
    batch_id = create_of(services, SECRET, OTHER)
    act(services, batch_id, "stage")
    work(services, batch_id)
    act(services, batch_id, "run")
    task = stories.lease_one(services, batch_id)
    stories.fail(services, task, critical=True, error=QUOTED)
    (row,) = (row for row in audit(services, batch_id) if row["trigger"] == "critical_error")
    assert row["reason"] == f"A worker reported a critical error. {QUOTED['message']}"
    erase(client, batch_id, documents_of(services, batch_id)[0])
    assert SECRET not in everything(services)


def test_the_trail_of_a_purged_batch_quotes_nobody(services: Services) -> None:
    batch_id = create_of(services, SECRET)
    act(services, batch_id, "stage")
    fail_staging(services, batch_id)
    edits.archive(services.batches, batch_id, OPERATOR)
    assert SECRET in audit(services, batch_id)[2]["reason"]
    services.purge.begin(batch_id)
    assert audit(services, batch_id)[2]["reason"] == "A document could not be staged."
    kept = json.dumps(audit(services, batch_id))
    assert SECRET not in kept


def test_a_folder_whose_staging_failed_over_a_file(services: Services, client: ApiClient) -> None:
    batch_id = of_folder(services)
    act(services, batch_id, "stage")
    fail_staging(services, batch_id)
    act(services, batch_id, "restage")
    stage_file(services, batch_id)
    (found,) = (row for row in rows_of(services, Document) if row.parent_id is not None)
    assert SECRET in everything(services)
    erase(client, batch_id, found.id)
    assert SECRET not in everything(services)


def stage_file(services: Services, batch_id: int) -> None:
    """Report a file of the folder, and its text."""
    file = {
        "name": f"{SECRET}.txt", "path": f"letters/{SECRET}.txt", "media_type": "text/plain", "size_bytes": 3,
        "sha256": "a" * 64,
    }  # fmt: skip
    stories.complete(services, stories.lease_one(services, batch_id), {"documents": [file]})
    stories.complete(services, stories.lease_one(services, batch_id), {"text": SECRET})


# --- answers that are kept for an Idempotency-Key


def lease_once(client: ApiClient, batch_id: int, key: str = "once") -> Any:
    body = {"worker": "w", "batch_id": batch_id, "max_tasks": 10}
    return client.acting_as("worker").post("/api/tasks/lease", json=body, headers={"Idempotency-Key": key})


def test_a_lease_is_not_repeated_with_its_text(services: Services, client: ApiClient) -> None:
    batch_id, other_id = create_of(services, SECRET), create_of(services, OTHER)
    for each in (batch_id, other_id):
        act(services, each, "stage")
    assert SECRET in lease_once(client, batch_id).text
    other = lease_once(client, other_id, "other")
    erase(client, batch_id, documents_of(services, batch_id)[0])
    again = lease_once(client, batch_id)
    assert (again.status_code, again.json["code"]) == (409, "idempotency_answer_erased")
    assert SECRET not in again.text
    assert lease_once(client, other_id, "other").json == other.json


def test_added_documents_are_not_named_again(services: Services, client: ApiClient) -> None:
    batch_id = create_of(services, SECRET, OTHER)
    twin = {"documents": [{"name": f"{SECRET} again", "text": SECRET}]}
    path = f"/api/batches/{batch_id}/documents"
    assert SECRET in client.post(path, json=twin, headers=KEY).text
    erase(client, batch_id, documents_of(services, batch_id)[0])
    again = client.post(path, json=twin, headers=KEY)
    assert (again.status_code, again.json["code"]) == (409, "idempotency_answer_erased")
    assert view(services, batch_id)["input"]["documents"] == 2, "it was not added again"


def test_a_refused_action_is_not_repeated(services: Services, client: ApiClient) -> None:
    """The answer of an action has the failure of the batch."""
    batch_id = create_of(services, SECRET)
    act(services, batch_id, "stage")
    fail_staging(services, batch_id)
    path = f"/api/batches/{batch_id}/action"
    first = client.post(path, json={"action": "reset", "dry_run": True}, headers=KEY)
    assert first.status_code == 200
    erase(client, batch_id, documents_of(services, batch_id)[0])
    again = client.post(path, json={"action": "reset", "dry_run": True}, headers=KEY)
    assert SECRET not in again.text


def test_a_purge_takes_the_answers_too(services: Services, client: ApiClient) -> None:
    batch_id = create_of(services, SECRET)
    act(services, batch_id, "stage")
    (task,) = lease_once(client, batch_id).json["tasks"]
    stories.fail(services, task, retryable=False)
    edits.archive(services.batches, batch_id, OPERATOR)
    services.purge.begin(batch_id)
    assert lease_once(client, batch_id).json["code"] == "idempotency_answer_erased"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_file_of_sqlite_has_nothing_of_it(services: Services, client: ApiClient) -> None:
    """Also the write-ahead log, when the sweeper has been there."""
    batch_id = create_of(services, SECRET * 100, OTHER)
    act(services, batch_id, "stage")
    work(services, batch_id)
    act(services, batch_id, "run")
    work(services, batch_id)
    erase(client, batch_id, documents_of(services, batch_id)[0])
    file = Path(str(services.engine.url.database))
    log = file.with_name(f"{file.name}-wal")
    assert SECRET.encode() in log.read_bytes()
    services.sweeper.sweep()
    assert SECRET.encode() not in log.read_bytes()
    assert OTHER.encode() in file.read_bytes()
    assert SECRET.encode() not in file.read_bytes()
