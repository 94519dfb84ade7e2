"""docs/contract.md and what is really answered agree: the fields of every answer, and those beside refusals."""

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from tests.api.lives import answered, ask, bring, complete, create, create_ready, fail, finish_all, lease, refused
from tests.contract import page
from tests.support.client import ApiClient

DEEP = ("progress", "usage", "input")
REPORT_ROWS = {"models": r"for each model `\{([^}]+)\}`", "agreement": r"each prompt `\{([^}]+)\}`"}


def names(answer: dict[str, Any], path: str = "") -> Iterator[str]:
    """Walk the names of an answer's fields, and of the objects within it that the page describes field by field."""
    for name, value in answer.items():
        yield f"{path}{name}"
        if isinstance(value, dict) and (name in DEEP or path == "progress."):
            yield from names(value, f"{path}{name}.")


def assert_as_on_page(heading: str, answer: dict[str, Any], missing: frozenset[str] = frozenset()) -> None:
    """Compare the fields of an answer with those under a heading; `missing` are said there to be elsewhere alone."""
    flat = set(names(answer)) if heading == "A batch" else set(answer)
    assert flat == page.fields(heading) - missing


def words(text: str) -> set[str]:
    """The names in an object as the page writes it: `"a", "b"`."""
    return set(re.findall(r'"(\w+)"', text))


def test_a_batch_and_its_rows(client: ApiClient) -> None:
    """Contract 5: a batch, its options, documents, tasks, audit rows and results, field by field."""
    batch_id = bring(client, "COMPLETED")["id"]
    path = f"/api/batches/{batch_id}"
    batch = answered(client.get(path))
    assert_as_on_page("A batch", batch)
    assert set(batch["options"]) == page.fields("Options")
    listed = answered(client.get("/api/batches"))["batches"][0]
    assert_as_on_page("A batch", listed, frozenset({"usage.by_model", "usage.by_prompt", "waiting_for"}))
    for name in ("by_model", "by_prompt"):
        (used,) = batch["usage"][name]
        shown = words(page.rows("A batch")["usage.by_model"][0])
        assert set(used) == (shown if name == "by_model" else shown - {"connection", "model"} | {"prompt"})
    assert_as_on_page("A document", answered(client.get(f"{path}/documents"))["documents"][0])
    assert_as_on_page("An audit row", answered(client.get(f"{path}/audit"))["audit"][0])
    task = answered(client.get(f"{path}/tasks"))["tasks"][0]
    assert_as_on_page("A task in a list", task)
    whole = answered(client.get(f"/api/tasks/{task['id']}"))
    assert set(whole) == page.fields("A task in a list") | page.fields("A whole task")
    line = json.loads(client.get(f"{path}/results").text.splitlines()[0])
    assert_as_on_page("A line of results", line)
    assert set(whole["usage"]) == set(line["usage"]) == words(page.rows("A whole task")["usage"][0])


def test_a_late_result(client: ApiClient) -> None:
    """Contract 5: a report that does not count names the task's status, and its result is kept."""
    batch_id = bring(client, "ANALYZING")["id"]
    task = lease(client, batch_id)[0]
    answered(ask(client, batch_id, "cancel"))
    problem = refused(complete(client, task), 409)
    assert {"code", "task_status", "late_result_kept"} <= set(problem)
    (late,) = answered(client.get(f"/api/tasks/{task['id']}"))["late_results"]
    assert set(late) == words(page.rows("A whole task")["late_results"][0])


def test_a_report(client: ApiClient) -> None:
    """Contract 5: a run report; a page after a cursor has the documents only."""
    models = [{"connection": "local", "model": name} for name in ("one", "other")]
    batch_id = bring(client, "COMPLETED", models=models)["id"]
    first = answered(client.get(f"/api/batches/{batch_id}/report?limit=1"))
    assert_as_on_page("A run report", first)
    rows = page.rows("A run report")
    for name, shown in REPORT_ROWS.items():
        found = re.search(shown, rows[name][0])
        assert found
        assert set(first[name][0]) == words(found[1])
    assert set(first["models"][0]) - {"connection", "model"} == set(first["prompts"][0]) - {"prompt"}
    further = answered(client.get(f"/api/batches/{batch_id}/report?limit=1&cursor={first['next_cursor']}"))
    sums = {name for name, cells in rows.items() if cells[0].startswith("first page only")}
    assert set(further) == page.fields("A run report") - sums
    answer = re.search(r"An answer in a report is `\{([^`]+)\}`", page.TEXT)
    assert answer
    assert set(first["documents"][0]["answers"][0]) == words(answer[1])
    lines = bring_ready(client)
    (row,) = answered(client.get(f"/api/batches/{lines}/report"))["documents"]
    assert set(row) == {"document", "custom_id", "answers"}


def bring_ready(client: ApiClient) -> int:
    batch_id: int = create_ready(client)["id"]
    for action in ("stage", "run"):
        answered(ask(client, batch_id, action))
    finish_all(client, batch_id)
    return batch_id


def test_decisions_and_dry_runs(client: ApiClient) -> None:
    """Contract 5: a decision, what a dry run adds to it, and what stands beside a refusal."""
    batch_id = create(client)["id"]
    rehearsed = answered(ask(client, batch_id, "stage", dry_run=True))
    assert_as_on_page("A decision", rehearsed)
    said = re.search(r"`effect` has .*", page.section("A decision"), re.S)
    assert said
    assert set(rehearsed["effect"]) == set(re.findall(r"`(\w+)`(?= \()", said[0]))
    done = answered(ask(client, batch_id, "stage"))
    added = {name for name, cells in page.rows("A decision").items() if cells[0].startswith("only ")}
    assert_as_on_page("A decision", done, frozenset(added))
    for outcome in (ask(client, batch_id, "run"), ask(client, batch_id, "run", dry_run=True)):
        problem = refused(outcome, 409)
        assert {"success", "reason", "batch_id", "current_state", "version", "allowed_actions"} <= set(problem)
    assert {"success", "reason", "valid_actions"} <= set(refused(ask(client, batch_id, "tasks_finished"), 422))


def test_what_a_worker_gets(client: ApiClient) -> None:
    """Contract 5: a leased task, and the answers to reports, one by one and in bulk."""
    batch_id = bring(client, "ANALYZING", documents=4)["id"]
    one, two, three, four = lease(client, batch_id)
    assert_as_on_page("A leased task", one, frozenset({"is_probe", "traceparent"}))
    assert set(one["payload"]) == {"document", "prompt", "connection", "model", "params", "messages"}
    assert set(answered(complete(client, one))) == {"task_id", "status", "batch_state"}
    assert set(answered(fail(client, two))) == {"task_id", "status", "batch_state"}
    held = [{"task_id": three["id"], "lease_token": three["lease_token"]}, {"task_id": "999", "lease_token": "x"}]
    for call in ("heartbeat", "release"):
        good, bad = answered(client.post(f"/api/tasks/{call}", json={"leases": held}))["leases"]
        assert set(good) == {"task_id", "ok", "lease_expires_at"}
        assert set(bad) == {"task_id", "ok", "reason"}
    reports = [
        {"task_id": number, "lease_token": four["lease_token"], "outcome": "completed", "result": {}}
        for number in (four["id"], "999")
    ]
    good, bad = answered(client.post("/api/tasks/report", json={"reports": reports}))["reports"]
    assert set(good) == {"task_id", "status", "task_status"}
    assert set(bad) == {"task_id", "status", "reason"}


def test_tokens(client: ApiClient) -> None:
    """Contract 5: a token; its secret is in the answer to its creation only."""
    made = answered(client.post("/api/tokens", json={"name": "jane", "role": "viewer"}), 201)
    assert_as_on_page("A token", made)
    listed = answered(client.get("/api/tokens"))["tokens"]
    assert listed
    for each in listed:
        assert_as_on_page("A token", each, frozenset({"token"}))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_request_that_is_queued(client: ApiClient, database_url: str) -> None:
    """Contract 5: the 202 and the request. PostgreSQL alone: SQLite has no row locks."""
    batch_id = create(client)["id"]
    with psycopg2.connect(database_url) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT id FROM batches WHERE id = %s FOR UPDATE", (batch_id,))
        queued = answered(ask(client, batch_id, "stage"), 202)
        assert_as_on_page("A queued answer", queued)
        one = answered(client.get(f"/api/requests/{queued['request_id']}"))
        assert_as_on_page("A request", one)
    holder.close()
    (listed,) = answered(client.get(f"/api/batches/{batch_id}/requests"))["requests"]
    assert_as_on_page("A request", listed, frozenset({"queue_position"}))


def test_what_an_archived_batch_leaves(client: ApiClient) -> None:
    """Contract 5: each call on an archived batch is 404 but `/audit`, and so are its tasks and contents."""
    batch_id = bring(client, "COMPLETED")["id"]
    path = f"/api/batches/{batch_id}"
    task = answered(client.get(f"{path}/tasks"))["tasks"][0]["id"]
    document = answered(client.get(f"{path}/documents"))["documents"][0]["id"]
    assert client.delete(path).status_code == 204
    for call in page.calls():
        of_batch = call.path.startswith("/api/batches/{batch_id}")
        if of_batch and call.method == "GET" and not call.path.endswith("/audit"):
            refused(client.get(call.path.format(batch_id=batch_id)), 404)
    assert answered(client.get(f"{path}/audit"))["audit"][-1]["trigger"] == "archive"
    refused(client.get(f"/api/tasks/{task}"), 404)
    refused(client.get(f"/api/documents/{document}/content"), 404)
