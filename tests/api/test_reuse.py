"""What `stage` and `restage` take from earlier runs, and what they would cost; one document changed."""

import io
from typing import Any

import orjson
import pytest

from app.domain.transitions import BatchState
from app.services import Services
from tests.api.lives import act, answered, ask, audit, bring, complete, create, fail, lease, refused, show
from tests.support.client import ApiClient
from tests.support.spending import spend


def results(client: ApiClient, batch_id: int) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in client.get(f"/api/batches/{batch_id}/results").data.splitlines()]


def documents(client: ApiClient, batch_id: int, **query: int) -> dict[str, Any]:
    return answered(client.get(f"/api/batches/{batch_id}/documents", query_string=query))


def put(client: ApiClient, batch_id: int, document_id: int, **body: Any) -> Any:
    return client.put(f"/api/batches/{batch_id}/documents/{document_id}", json=body)


def stage(client: ApiClient, batch_id: int, action: str, **context: Any) -> None:
    """Ask for `stage` or `restage`, and read every document as it is."""
    answered(ask(client, batch_id, action, context=context))
    for task in lease(client, batch_id):
        answered(complete(client, task, {"text": task["payload"]["text"]}))


def run(client: ApiClient, batch_id: int) -> list[str]:
    """Run a batch to its end; return the names of the documents that were asked about."""
    act(client, batch_id, "run")
    tasks = lease(client, batch_id)
    for task in tasks:
        answered(complete(client, task, {"text": f"of {task['id']}"}))
    return [task["payload"]["document"]["name"] for task in tasks]


class TestReuse:
    def test_a_restage_shows_whose_answers_it_has(self, client: ApiClient) -> None:
        batch_id = create(client)["id"]
        stage(client, batch_id, "stage")
        assert run(client, batch_id) == ["0.txt", "1.txt"]
        first = results(client, batch_id)
        stage(client, batch_id, "restage")
        assert act(client, batch_id, "run")["state"] == "COMPLETED"
        assert [line["reused_from"] for line in results(client, batch_id)] == [line["task_id"] for line in first]
        listed = answered(client.get(f"/api/batches/{batch_id}/tasks?status=COMPLETED"))["tasks"]
        of_analysis = [task for task in listed if task["kind"] == "ANALYZE"]
        assert [task["reused_from"] for task in of_analysis] == [line["task_id"] for line in first]
        shown = answered(client.get(f"/api/tasks/{of_analysis[0]['id']}"))
        assert (shown["reused_from"], shown["result"]) == (first[0]["task_id"], first[0]["result"])

    @pytest.mark.parametrize(
        "context", [{"reuse": "none"}, {"redo": {"models": ["textstats"], "prompts": ["summary"]}}]
    )
    def test_all_is_done_again_on_request(self, client: ApiClient, context: dict[str, Any]) -> None:
        batch_id = create(client)["id"]
        stage(client, batch_id, "stage")
        run(client, batch_id)
        stage(client, batch_id, "restage", **context)
        assert run(client, batch_id) == ["0.txt", "1.txt"]
        assert {line["reused_from"] for line in results(client, batch_id)} == {None}

    @pytest.mark.parametrize(
        ("context", "field"),
        [
            ({"reuse": "never"}, "reuse"),
            ({"redo": "all"}, "redo"),
            ({"redo": {"models": ["no such model"]}}, "redo"),
            ({"redo": {"surprise": ["x"]}}, "redo"),
        ],
    )
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_422_what_the_context_says_wrong(
        self, client: ApiClient, context: dict[str, Any], field: str, dry_run: bool
    ) -> None:
        batch = create(client)
        body = refused(ask(client, batch["id"], "stage", context=context, dry_run=dry_run), 422)
        assert list(body["errors"]["context"]) == [field]
        assert show(client, batch["id"])["version"] == batch["version"] == 1


class TestForecast:
    def test_before_anything_is_known(self, client: ApiClient) -> None:
        batch = create(client)
        effect = answered(ask(client, batch["id"], "stage", dry_run=True))["effect"]
        assert (effect["calls"], effect["cost"]) == (2, None)

    def test_it_is_what_then_happens_and_at_the_mean_price(self, client: ApiClient, services: Services) -> None:
        batch_id = create(client, documents=3)["id"]
        stage(client, batch_id, "stage")
        act(client, batch_id, "run")
        first, second, third = lease(client, batch_id)
        answered(complete(client, first))
        answered(complete(client, second))
        answered(fail(client, third, retryable=False))
        for task, nanos in ((first, 1_000_000), (second, 2_000_000)):
            spend(services.engine, task["id"], cost_nanos=nanos)
        for context, calls, cost in (
            ({}, 1, 0.0015),
            ({"reuse": "none"}, 3, 0.0045),
            ({"redo": {"status": ["COMPLETED"]}}, 3, 0.0045),
            ({"redo": {"status": ["FAILED"]}}, 1, 0.0015),
        ):
            effect = answered(ask(client, batch_id, "restage", context=context, dry_run=True))["effect"]
            assert (effect["calls"], effect["cost"]) == (calls, cost), context
        stage(client, batch_id, "restage")
        assert run(client, batch_id) == ["2.txt"]
        effect = answered(ask(client, batch_id, "restage", dry_run=True))["effect"]
        assert (effect["calls"], effect["cost"]) == (0, 0.0)

    def test_of_ready_made_tasks(self, client: ApiClient) -> None:
        lines = b"".join(
            orjson.dumps({"custom_id": f"{n}", "method": "POST", "url": "/v1/responses", "body": {"n": n}}) + b"\n"
            for n in range(3)
        )
        made = client.post("/api/batches?name=ready", data=lines, content_type="application/jsonl")
        batch_id = answered(made, 201)["id"]
        assert answered(ask(client, batch_id, "stage", dry_run=True))["effect"]["calls"] == 3
        act(client, batch_id, "stage")
        act(client, batch_id, "run")
        first, second, third = lease(client, batch_id)
        answered(complete(client, first))
        act(client, batch_id, "cancel")
        refused(complete(client, second), 409)
        for context, calls in (
            ({}, 1),
            ({"redo": {"status": ["COMPLETED"]}}, 2),
            ({"redo": {"status": ["LEASED"]}}, 2),
            ({"reuse": "none"}, 3),
        ):
            effect = answered(ask(client, batch_id, "restage", context=context, dry_run=True))["effect"]
            assert (effect["calls"], effect["cost"]) == (calls, None), context
        act(client, batch_id, "restage")
        act(client, batch_id, "run")
        assert [task["payload"]["custom_id"] for task in lease(client, batch_id)] == [third["payload"]["custom_id"]]


class TestDocuments:
    def test_listed_by_number_in_pages(self, client: ApiClient, viewer: ApiClient) -> None:
        batch_id = create(client, documents=3)["id"]
        first = documents(viewer, batch_id, limit=2)
        assert [set(each) for each in first["documents"]] == [
            {"id", "number", "name", "media_type", "size_bytes", "sha256"}
        ] * 2
        rest = documents(viewer, batch_id, limit=2, cursor=first["next_cursor"])
        assert [each["number"] for each in first["documents"] + rest["documents"]] == [1, 2, 3]
        assert (rest["documents"][0]["name"], rest["next_cursor"]) == ("2.txt", None)

    def test_replaced_inline_or_by_a_file(self, client: ApiClient) -> None:
        batch_id = create(client)["id"]
        first, second = documents(client, batch_id)["documents"]
        answer = put(client, batch_id, first["id"], text="new", media_type="text/html")
        assert (answered(answer)["version"], answer.headers["ETag"]) == (2, '"2"')
        file = {"files": (io.BytesIO(b"%PDF"), "b.pdf")}
        path = f"/api/batches/{batch_id}/documents/{second['id']}"
        assert answered(client.put(path, data=file, content_type="multipart/form-data"))["version"] == 3
        new_first, new_second = documents(client, batch_id)["documents"]
        assert [new_first[name] for name in ("id", "name", "media_type", "size_bytes")] == [
            first["id"], "0.txt", "text/html", 3,
        ]  # fmt: skip
        assert [new_second[name] for name in ("id", "name", "media_type")] == [second["id"], "b.pdf", "application/pdf"]
        assert new_first["sha256"] != first["sha256"]
        rows = audit(client, batch_id)[1:]
        assert [(row["trigger"], row["kind"], row["context"]) for row in rows] == [
            ("replace_document", "edit", {"document_id": first["id"], "sha256": new_first["sha256"]}),
            ("replace_document", "edit", {"document_id": second["id"], "sha256": new_second["sha256"]}),
        ]
        act(client, batch_id, "stage")
        one, two = lease(client, batch_id)
        assert one["payload"]["text"] == "new"
        assert client.get(two["payload"]["content_url"]).data == b"%PDF"

    def test_one_changed_document_is_asked_about_and_no_other(self, client: ApiClient) -> None:
        batch_id = create(client)["id"]
        stage(client, batch_id, "stage")
        run(client, batch_id)
        earlier = results(client, batch_id)
        act(client, batch_id, "reset")
        second = documents(client, batch_id)["documents"][1]
        answered(put(client, batch_id, second["id"], name="new.txt", text="something else"))
        assert answered(ask(client, batch_id, "stage", dry_run=True))["effect"]["calls"] == 1
        stage(client, batch_id, "stage")
        assert run(client, batch_id) == ["new.txt"]
        first_run = client.get(f"/api/batches/{batch_id}/results?run=1").data.splitlines()
        assert [orjson.loads(line)["result"] for line in first_run] == [line["result"] for line in earlier]

    @pytest.mark.parametrize("state", [state for state in BatchState if state != "SAVED"])
    def test_409_in_any_other_state(self, client: ApiClient, state: str) -> None:
        batch = bring(client, state)
        before = documents(client, batch["id"])
        refused(put(client, batch["id"], before["documents"][0]["id"], text="new"), 409)
        assert documents(client, batch["id"]) == before
        assert show(client, batch["id"]) == batch

    def test_404_no_document_of_this_batch(self, client: ApiClient) -> None:
        batch, other = create(client), create(client)
        theirs = documents(client, other["id"])["documents"][0]["id"]
        for document_id in (theirs, 999_999):
            refused(put(client, batch["id"], document_id, text="new"), 404)
        assert show(client, batch["id"]) == batch

    def test_412_if_the_batch_has_changed(self, client: ApiClient) -> None:
        batch_id = create(client)["id"]
        path = f"/api/batches/{batch_id}/documents/{documents(client, batch_id)['documents'][0]['id']}"
        refused(client.put(path, json={"text": "new"}, headers={"If-Match": '"2"'}), 412)
        answered(client.put(path, json={"text": "new"}, headers={"If-Match": '"1"'}))

    @pytest.mark.parametrize("body", [{}, {"name": "a"}, {"text": "a\0"}, {"text": "a", "name": ""}, {"text": 1}])
    def test_422_a_bad_body(self, client: ApiClient, body: dict[str, Any]) -> None:
        batch = create(client)
        refused(put(client, batch["id"], documents(client, batch["id"])["documents"][0]["id"], **body), 422)
        assert show(client, batch["id"]) == batch

    def test_422_two_files(self, client: ApiClient) -> None:
        batch_id = create(client)["id"]
        path = f"/api/batches/{batch_id}/documents/{documents(client, batch_id)['documents'][0]['id']}"
        files = {"files": [(io.BytesIO(b"a"), "a.txt"), (io.BytesIO(b"b"), "b.txt")]}
        assert "files" in refused(client.put(path, data=files, content_type="multipart/form-data"), 422)["errors"]
