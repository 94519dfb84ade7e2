"""Erasing one document on request: nothing of it can be read afterwards, and nothing comes back."""

import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import Engine, select

from app import db
from app.db import reading
from app.errors import Busy, ReportRefused
from app.models import Base, Document, LateResult, Task
from app.services import Services
from app.services.input import edits
from tests.services import stories
from tests.services.stories import (
    OPERATOR,
    act,
    audit,
    bring,
    complete,
    create,
    finish_all,
    lease,
    let_leases_run_out,
    rows_of,
    state_of,
    trail,
    view,
)
from tests.support.client import ApiClient

SECRET = "a secret of Jane"
OTHER = "what the other says"


def create_of(services: Services, *texts: str, **options: Any) -> int:
    body = {
        "name": "letters",
        "documents": [{"name": f"{text}.txt", "text": text, "media_type": "text/plain"} for text in texts],
        "prompts": [{"name": "p", "text": "{document}"}],
        "models": [{"connection": "local", "model": "m", "params": {}}],
        "options": options,
    }
    return int(edits.create_batch(services.batches, body, OPERATOR)["id"])


def documents_of(services: Services, batch_id: int) -> list[int]:
    with reading(services.engine) as connection:
        numbered = select(Document.id).where(Document.batch_id == batch_id).order_by(Document.number)
        return list(connection.execute(numbered).scalars())


def work(services: Services, batch_id: int) -> None:
    """Read the documents, and answer as an echo does."""
    while tasks := lease(services, batch_id):
        for task in tasks:
            answer(services, task)


def answer(services: Services, task: dict[str, Any]) -> None:
    payload = task["payload"]
    text = payload["text"] if task["kind"] == "STAGE" else payload["messages"][-1]["content"]
    complete(services, task, {"text": text, "usage": {"input_tokens": 3, "cost": 0.5}})


def erase(client: ApiClient, batch_id: int, document_id: int, query: str = "") -> Any:
    return client.delete(f"/api/batches/{batch_id}/documents/{document_id}{query}")


def everything(services: Services) -> str:
    """All that the database holds, as text."""
    return everything_in(services.engine)


def everything_in(engine: Engine) -> str:
    with engine.connect() as connection:
        tables = Base.metadata.sorted_tables
        return "\n".join(str(tuple(row)) for table in tables for row in connection.execute(select(table)))


def test_nothing_of_it_is_left(services: Services, client: ApiClient) -> None:
    """Two runs, a late result, and a failure that quotes the document."""
    batch_id = create_of(services, SECRET, OTHER)
    act(services, batch_id, "stage")
    work(services, batch_id)
    act(services, batch_id, "run")
    late, *_ = lease(services, batch_id, most=1)
    act(services, batch_id, "cancel")
    with pytest.raises(ReportRefused):
        answer(services, late)
    act(services, batch_id, "restage", reuse="none")
    work(services, batch_id)
    act(services, batch_id, "run")
    work(services, batch_id)
    first, other = documents_of(services, batch_id)
    before = view(services, batch_id)
    assert SECRET in everything(services)
    erased = erase(client, batch_id, first, "?reason=case+17")
    assert erased.status_code == 200
    assert erased.headers["ETag"] == f'"{erased.json["version"]}"'
    assert SECRET not in everything(services)
    assert OTHER in everything(services)
    after = view(services, batch_id)
    assert (after["state"], after["progress"], after["usage"]) == ("COMPLETED", before["progress"], before["usage"])
    row = audit(services, batch_id)[-1]
    sha256 = hashlib.sha256(SECRET.encode()).hexdigest()
    assert (row["trigger"], row["kind"], row["actor"], row["reason"]) == (
        "erase_document",
        "edit",
        "a admin",
        "case 17",
    )
    assert row["context"] == {"document_id": first, "sha256": sha256, "reason": "case 17"}
    gone = client.get(f"/api/documents/{first}/content")
    assert gone.status_code == 404
    assert "it was erased on 20" in gone.json["detail"]
    assert client.get(f"/api/documents/{other}/content").text == OTHER
    listed = client.get(f"/api/batches/{batch_id}/documents").json["documents"]
    assert [each["name"] for each in listed] == ["an erased document", f"{OTHER}.txt"]
    assert listed[0]["sha256"] == sha256
    late_result = client.get(f"/api/tasks/{late['id']}").json["late_results"][0]
    assert (late_result["result"], late_result["error"]) == (None, None)


def test_every_reader_answers(services: Services, client: ApiClient) -> None:
    """The lists, the reports and the files of a batch, with an erased answer among the others."""
    batch_id = create_of(services, SECRET, OTHER)
    stories.follow(services, batch_id, "STAGING")
    work(services, batch_id)
    act(services, batch_id, "run")
    work(services, batch_id)
    erase(client, batch_id, documents_of(services, batch_id)[0])
    path = f"/api/batches/{batch_id}"
    lines = [json.loads(line) for line in client.get(f"{path}/results").text.splitlines()]
    assert [line["status"] for line in lines] == ["COMPLETED", "COMPLETED"]
    assert [line["result"] and line["result"]["text"] for line in lines] == [None, OTHER]
    assert lines[0]["error"]["code"] == "erased"
    (output,) = client.get(f"{path}/results?format=openai").text.splitlines()
    assert OTHER in output
    (failed,) = client.get(f"{path}/results?format=openai-errors").text.splitlines()
    assert json.loads(failed)["error"]["code"] == "erased"
    report = client.get(f"{path}/report").json["documents"]
    assert [each["answers"][0]["answer"] for each in report] == [None, OTHER]
    for read in ("/tasks", "/report?format=csv", "", "/actions"):
        answered = client.get(f"{path}{read}")
        assert answered.status_code == 200
        assert SECRET not in answered.text
    for task in client.get(f"{path}/tasks").json["tasks"]:
        assert client.get(f"/api/tasks/{task['id']}").status_code == 200
        services.reads.tasks.with_payload(batch_id, task["id"])


@pytest.mark.parametrize("kind", ["STAGE", "ANALYZE"])
def test_a_lease_under_way_is_over_and_its_report_keeps_nothing(
    services: Services, client: ApiClient, kind: str
) -> None:
    batch_id = create_of(services, SECRET, OTHER, max_failed_tasks=0)
    act(services, batch_id, "stage")
    if kind == "ANALYZE":
        work(services, batch_id)
        act(services, batch_id, "run")
    leased = {task["payload"]["document"]["name"]: task for task in lease(services, batch_id)}
    mine = leased[f"{SECRET}.txt"]
    erase(client, batch_id, documents_of(services, batch_id)[0])
    beat = services.queue.heartbeat([(mine["id"], mine["lease_token"])])
    assert [each["ok"] for each in beat] == [False]
    assert [each["ok"] for each in services.queue.release([(mine["id"], mine["lease_token"])])] == [False]
    with pytest.raises(ReportRefused) as refused:
        answer(services, mine)
    assert refused.value.facts == {"task_status": "COMPLETED", "late_result_kept": False}
    assert refused.value.detail == "The document of the task was erased."
    (late,) = rows_of(services, LateResult)
    assert (late.result, late.error, late.input_tokens, late.cost_nanos) == (None, None, 3, 500_000_000)
    assert SECRET not in everything(services)
    answer(services, leased[f"{OTHER}.txt"])
    if kind == "STAGE":
        assert view(services, batch_id)["progress"]["staging"] == {
            "total": 2, "completed": 2, "failed": 0, "skipped": 1,
        }  # fmt: skip
        act(services, batch_id, "run")
        work(services, batch_id)
    assert state_of(services, batch_id) == "COMPLETED"


@pytest.mark.parametrize("state", ["SAVED", "STAGING", "STAGED", "ANALYZING", "PAUSED", "COMPLETED", "FAILED"])
def test_in_every_state_the_batch_goes_on_without_it(services: Services, client: ApiClient, state: str) -> None:
    batch_id = bring(services, state, documents=2)
    first = documents_of(services, batch_id)[0]
    assert erase(client, batch_id, first).status_code == 200
    assert state_of(services, batch_id) == state
    for action in {"SAVED": ["stage"], "PAUSED": ["resume"], "FAILED": ["restage"]}.get(state, []):
        act(services, batch_id, action)
    finish_all(services, batch_id)
    if state_of(services, batch_id) == "STAGED":
        act(services, batch_id, "run")
        finish_all(services, batch_id)
    assert state_of(services, batch_id) == "COMPLETED"
    act(services, batch_id, "restage")
    assert view(services, batch_id)["progress"]["staging"]["skipped"] == 1
    assert [task["payload"]["document"]["id"] for task in lease(services, batch_id)] != [first]


def test_the_last_open_task_ends_the_run(services: Services, client: ApiClient) -> None:
    batch_id = create_of(services, SECRET)
    stories.follow(services, batch_id, "ANALYZING")
    erase(client, batch_id, documents_of(services, batch_id)[0])
    assert trail(services, batch_id)[-2:] == ["erase_document", "tasks_finished"]


def test_all_documents_erased_leave_nothing_to_analyse(services: Services, client: ApiClient) -> None:
    batch_id = create_of(services, SECRET)
    erase(client, batch_id, documents_of(services, batch_id)[0])
    answered = act(services, batch_id, "stage")
    assert answered["batch"]["failure"]["code"] == "nothing_to_analyse"


def test_answers_that_others_reused_from_it_go_and_their_own_are_asked_again(
    services: Services, client: ApiClient
) -> None:
    """Two documents with equal text but other bytes: the second one reuses the answer to the first."""
    batch_id = create_of(services, SECRET)
    stories.follow(services, batch_id, "STAGING")
    work(services, batch_id)
    act(services, batch_id, "run")
    work(services, batch_id)
    act(services, batch_id, "reset")
    twin = {"name": "twin.txt", "text": f"{SECRET} ", "media_type": "text/plain"}
    edits.add_documents(services.batches, batch_id, [twin], OPERATOR)
    act(services, batch_id, "stage")
    for task in lease(services, batch_id):
        complete(services, task, {"text": SECRET})
    act(services, batch_id, "run")
    assert state_of(services, batch_id) == "COMPLETED"  # no call: both answers are reused
    first, other = documents_of(services, batch_id)
    copies = [row for row in rows_of(services, Task) if row.document_id == other and row.kind == "ANALYZE"]
    assert [row.reused_from is None for row in copies] == [False]
    erase(client, batch_id, first)
    copies = [row for row in rows_of(services, Task) if row.document_id == other and row.kind == "ANALYZE"]
    assert [(row.result, row.erased) for row in copies] == [(None, True)]
    act(services, batch_id, "restage")
    for task in lease(services, batch_id):
        complete(services, task, {"text": SECRET})
    assert view(services, batch_id)["progress"]["analysis"]["queued"] == 1  # it is asked again


def test_a_report_sent_twice_is_still_recognised(services: Services, client: ApiClient) -> None:
    batch_id = create_of(services, SECRET, OTHER)
    act(services, batch_id, "stage")
    done, waits = lease(services, batch_id)
    answer(services, done)
    stories.fail(services, waits, retry_after_seconds=100)
    for document_id in documents_of(services, batch_id):
        erase(client, batch_id, document_id)
    answer(services, done)
    stories.fail(services, waits)


def test_a_lease_that_ran_out_before(services: Services, client: ApiClient) -> None:
    batch_id = create_of(services, SECRET)
    act(services, batch_id, "stage")
    leased = lease(services, batch_id)
    let_leases_run_out(services, leased)
    services.sweeper.sweep()
    erase(client, batch_id, documents_of(services, batch_id)[0])
    with pytest.raises(ReportRefused):
        answer(services, leased[0])
    assert SECRET not in everything(services)


def test_a_failure_that_quotes_it(services: Services, client: ApiClient) -> None:
    batch_id = create_of(services, SECRET)
    act(services, batch_id, "stage")
    stories.fail(
        services, stories.lease_one(services, batch_id), retryable=False, error={"code": "x", "message": SECRET}
    )
    assert SECRET in view(services, batch_id)["failure"]["message"]
    erase(client, batch_id, documents_of(services, batch_id)[0])
    assert view(services, batch_id)["failure"]["message"] == "The failed task was of a document that was erased."
    assert SECRET not in json.dumps(stories.tasks_of(services, batch_id))


def test_twice_is_once_and_the_content_may_be_added_again(services: Services, client: ApiClient) -> None:
    batch_id = create_of(services, SECRET)
    document_id = documents_of(services, batch_id)[0]
    first = erase(client, batch_id, document_id)
    second = erase(client, batch_id, document_id)
    assert (second.status_code, second.json["version"]) == (200, first.json["version"])
    again = {"name": "again.txt", "text": SECRET, "media_type": "text/plain"}
    added = edits.add_documents(services.batches, batch_id, [again], OPERATOR)
    assert (added["input"]["documents"], added.get("duplicates")) == (2, None)
    replaced = client.put(f"/api/batches/{batch_id}/documents/{document_id}", json={"text": "new", "name": "new"})
    assert replaced.status_code == 200
    assert client.get(f"/api/documents/{document_id}/content").text == "new"


def test_what_is_refused(services: Services, client: ApiClient) -> None:
    batch_id, other = create(services), create(services)
    mine, strange = documents_of(services, batch_id)[0], documents_of(services, other)[0]
    assert erase(client, batch_id, strange).status_code == 404
    assert erase(client, batch_id, 4711).status_code == 404
    assert erase(client, batch_id, mine, f"?reason={'x' * 1001}").status_code == 422
    path = f"/api/batches/{batch_id}/documents/{mine}"
    assert client.delete(path, headers={"If-Match": '"7"'}).status_code == 412
    assert client.acting_as("viewer").delete(path).status_code == 403
    assert trail(services, batch_id) == ["create"]
    edits.archive(services.batches, batch_id, OPERATOR)
    assert erase(client, batch_id, mine).status_code == 404


def test_a_download_under_way_is_not_cut_without_a_word(services: Services, client: ApiClient) -> None:
    batch_id = create_of(services, SECRET)
    document_id = documents_of(services, batch_id)[0]
    pieces = services.reads.documents.content(document_id).pieces
    erase(client, batch_id, document_id)
    with pytest.raises(Busy, match="replaced or erased"):
        list(pieces)


# --- files of folders


def of_folder(services: Services) -> int:
    body = {
        "name": "folder",
        "documents": [{"folder": "letters/*.txt"}],
        "prompts": [{"name": "p", "text": "{document}"}],
        "models": [{"connection": "local", "model": "m", "params": {}}],
        "options": {},
    }
    return int(edits.create_batch(services.batches, body, OPERATOR)["id"])


def stage_folder(services: Services, batch_id: int) -> None:
    """Report two files of the folder, and their texts."""
    folder = stories.lease_one(services, batch_id)
    files = [
        {
            "name": f"{text}.txt", "path": f"letters/{text}.txt", "media_type": "text/plain", "size_bytes": len(text),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
        for text in (SECRET, OTHER)
    ]  # fmt: skip
    complete(services, folder, {"documents": files})
    for task in lease(services, batch_id):
        complete(services, task, {"text": task["payload"]["path"]})


def test_a_file_of_a_folder_is_erased_in_every_run_and_never_found_again(services: Services, client: ApiClient) -> None:
    batch_id = of_folder(services)
    act(services, batch_id, "stage")
    for action in ("run", "restage", "run"):
        if action == "run":
            if state_of(services, batch_id) == "STAGING":
                stage_folder(services, batch_id)
            act(services, batch_id, "run")
            work(services, batch_id)
        else:
            act(services, batch_id, action)
    found = [row for row in rows_of(services, Document) if row.name == f"{SECRET}.txt"]
    assert [row.run for row in found] == [1, 2]
    refused = erase(client, batch_id, documents_of_folder(services, batch_id))
    assert (refused.status_code, refused.json["errors"]) == (422, {"document_id": ["is a folder"]})
    assert erase(client, batch_id, found[1].id).status_code == 200
    assert SECRET not in everything(services)
    act(services, batch_id, "restage")
    stage_folder(services, batch_id)
    texts = [row.name for row in rows_of(services, Document) if row.run == 3]
    assert texts == [f"{OTHER}.txt"]


def documents_of_folder(services: Services, batch_id: int) -> int:
    with reading(services.engine) as connection:
        table = db.table_of(Document)
        return int(connection.execute(select(table.c.id).where(table.c.folder.is_not(None))).scalar_one())
