"""POST /api/batches/<id>/documents, inline and as files, and what a worker downloads."""

import io
from typing import Any

import pytest

from app.domain.transitions import BatchState
from tests.api.lives import MODEL, PROMPT, act, answered, audit, bring, create, lease, refused, show
from tests.support.client import ApiClient

BYTES = b"%PDF-1.7\0\xff\xfe\r\n--boundary\r\n"


def upload(client: ApiClient, batch_id: int, *files: tuple[bytes, str, str | None], **more: Any) -> Any:
    """Send files as `(content, name, media type)`."""
    parts = [(io.BytesIO(content), name, *([kind] if kind else [])) for content, name, kind in files]
    data = {"files": parts, **more}
    return client.post(f"/api/batches/{batch_id}/documents", data=data, content_type="multipart/form-data")


def empty(client: ApiClient) -> int:
    batch_id: int = create(client, documents=0)["id"]
    return batch_id


def test_inline(operator: ApiClient, client: ApiClient) -> None:
    """Contract 5: 201 for JSON `{"documents": [...]}`; the edit raises the batch's version by one."""
    batch_id = empty(client)
    documents = [{"name": "a.txt", "text": "first"}, {"name": "b", "text": "second", "media_type": "text/html"}]
    answer = operator.post(f"/api/batches/{batch_id}/documents", json={"documents": documents})
    batch = answered(answer, 201)
    assert (batch["version"], batch["input"]["documents"]) == (2, 2)
    assert answer.headers["ETag"] == '"2"'
    row = audit(client, batch_id)[-1]
    assert (row["kind"], row["from_state"], row["to_state"], row["actor"]) == ("edit", "SAVED", "SAVED", "a operator")
    act(client, batch_id, "stage")
    payloads = [task["payload"] for task in lease(client, batch_id)]
    assert [(p["document"]["name"], p["document"]["media_type"], p["text"]) for p in payloads] == [
        ("a.txt", "text/plain", "first"),
        ("b", "text/html", "second"),
    ]


def test_files_come_back_as_they_were(client: ApiClient, worker: ApiClient) -> None:
    """Contract 5: an uploaded file has a `content_url` in place of `text` (GET, worker role)."""
    batch_id = empty(client)
    files = [
        (BYTES, "a.pdf", "application/pdf"),
        (b"", "empty.txt", None),
        ("gr\u00fc\u00df".encode(), "gr\u00fc\u00df.md", None),
    ]
    assert answered(upload(client, batch_id, *files), 201)["input"]["documents"] == 3
    act(client, batch_id, "stage")
    tasks = lease(worker, batch_id)
    for task, (content, name, _) in zip(tasks, files, strict=True):
        assert set(task["payload"]) == {"document", "content_url"}
        assert task["payload"]["document"]["name"] == name
        answer = worker.get(task["payload"]["content_url"])
        assert (answer.status_code, answer.data) == (200, content)
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.content_type == "application/octet-stream"
    kinds = [task["payload"]["document"]["media_type"] for task in tasks]
    assert kinds == ["application/pdf", "text/plain", "text/markdown"]


def test_documents_add_up(same_client: ApiClient) -> None:
    """Contract 5: documents may come later and in several calls; each is staged once, in order."""
    batch_id = create(same_client, documents=1)["id"]
    upload(same_client, batch_id, (b"x", "u1", None), (b"y", "u2", None))
    same_client.post(f"/api/batches/{batch_id}/documents", json={"documents": [{"name": "i1", "text": "z"}]})
    assert act(same_client, batch_id, "stage")["progress"]["staging"]["total"] == 4
    assert [task["payload"]["document"]["name"] for task in lease(same_client, batch_id)] == ["0.txt", "u1", "u2", "i1"]


def test_folders_come_with_the_batch_or_later(client: ApiClient, worker: ApiClient) -> None:
    """A folder is a pattern of paths, which a worker resolves below its root; its name is the pattern."""
    body = {"name": "n", "documents": [{"folder": "a/*.pdf"}], "prompts": [PROMPT], "models": [MODEL]}
    batch_id = answered(client.post("/api/batches", json=body), 201)["id"]
    more = {"documents": [{"folder": "b/**"}, {"folder": "a/*.pdf"}, {"name": "i", "text": "z"}]}
    batch = answered(client.post(f"/api/batches/{batch_id}/documents", json=more), 201)
    assert batch["input"]["documents"] == 3
    assert batch["duplicates"] == [{"name": "a/*.pdf", "of": "a/*.pdf"}]
    act(client, batch_id, "stage")
    tasks = lease(worker, batch_id)
    assert [(t["payload"]["document"]["name"], t["payload"].get("folder")) for t in tasks] == [
        ("a/*.pdf", "a/*.pdf"),
        ("b/**", "b/**"),
        ("i", None),
    ]
    refused(worker.get(f"/api/documents/{tasks[0]['payload']['document']['id']}/content"), 404)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"folder": "a", "text": "x"}, "text"),
        ({"folder": "a", "name": "x"}, "name"),
        ({"folder": "a", "media_type": "text/plain"}, "media_type"),
        ({"folder": ""}, "folder"),
        ({"folder": "/etc/*"}, "folder"),
        ({"folder": "a/../../b"}, "folder"),
        ({"folder": "x" * 501}, "folder"),
        ({"name": "a"}, "text"),
        ({"text": "a"}, "name"),
        ({}, "name"),
    ],
    ids=range(10),
)
def test_422_neither_a_text_nor_a_folder(same_client: ApiClient, document: dict[str, Any], field: str) -> None:
    """Contract 5: the problem names the field, and nothing is stored."""
    batch_id = empty(same_client)
    answer = same_client.post(f"/api/batches/{batch_id}/documents", json={"documents": [document]})
    assert field in refused(answer, 422)["errors"]["documents"]["0"]
    assert show(same_client, batch_id)["version"] == 1


@pytest.mark.parametrize("state", [state for state in BatchState if state != "SAVED"])
def test_409_while_it_is_not_saved(same_client: ApiClient, state: str) -> None:
    """Contract 5: while SAVED, else 409."""
    batch = bring(same_client, state)
    path = f"/api/batches/{batch['id']}/documents"
    refused(same_client.post(path, json={"documents": [{"name": "a", "text": "x"}]}), 409)
    refused(upload(same_client, batch["id"], (b"x", "a", None)), 409)
    assert show(same_client, batch["id"]) == batch


def test_after_a_reset_documents_are_accepted_again(same_client: ApiClient) -> None:
    """Contract 2: `reset` leads back to SAVED; the next staging counts the new document too."""
    batch = bring(same_client, "COMPLETED", documents=1)
    act(same_client, batch["id"], "reset")
    assert upload(same_client, batch["id"], (b"x", "a", None)).status_code == 201
    after = act(same_client, batch["id"], "stage")
    assert (after["run"], after["progress"]["staging"]["total"]) == (2, 2)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"documents": []},
        {"documents": None},
        {"documents": [{"name": "a"}]},
        {"documents": [{"name": "a", "text": 1}]},
        {"documents": [{"name": "a", "text": "x", "surprise": 1}]},
        {"documents": [{"name": "a", "text": "x"}], "surprise": 1},
        {"documents": [{"name": "a", "text": "x"}] * 10_001},
    ],
    ids=range(8),
)
def test_422_a_bad_body(same_client: ApiClient, body: dict[str, Any]) -> None:
    """Contract 5: bad body is 422 and nothing is stored."""
    batch_id = empty(same_client)
    refused(same_client.post(f"/api/batches/{batch_id}/documents", json=body), 422)
    assert show(same_client, batch_id)["version"] == 1


def test_422_files_under_another_name(same_client: ApiClient) -> None:
    """Contract 5: multipart `files`; unknown parts are refused."""
    batch_id = empty(same_client)
    path = f"/api/batches/{batch_id}/documents"
    for data in (
        {"file": (io.BytesIO(b"x"), "a")},
        {"files": "just text"},
        {"files": (io.BytesIO(b"x"), "a"), "more": "x"},
        {},
    ):
        refused(same_client.post(path, data=data, content_type="multipart/form-data; boundary=b"), 422)
    assert show(same_client, batch_id)["version"] == 1


@pytest.mark.parametrize("name", ["", "x" * 501])
def test_422_a_file_without_a_usable_name(same_client: ApiClient, name: str) -> None:
    """Contract 5: a document has a name."""
    batch_id = empty(same_client)
    data = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\nx\r\n--b--\r\n'.encode()
    path = f"/api/batches/{batch_id}/documents"
    refused(same_client.post(path, data=data, content_type="multipart/form-data; boundary=b"), 422)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"--b",
        b"--b--\r\n",
        b"nonsense",
        b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\nx',
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; filename="a"\r\n\r\nx\r\n--b\r\n'
        b'Content-Disposition: form-data; name="x"\r\n\r\nx\r\n--b--\r\n',
        b"--b\r\n\r\nx\r\n--b--\r\n",
    ],
    ids=range(8),
)
def test_a_broken_form_is_4xx(same_client: ApiClient, data: bytes) -> None:
    """Contract 5: a bad body is 4xx, never 5xx."""
    path = f"/api/batches/{empty(same_client)}/documents"
    answer = same_client.post(path, data=data, content_type="multipart/form-data; boundary=b")
    assert answer.status_code in (400, 422)
    refused(answer, answer.status_code)


def test_a_file_that_names_a_path_stays_a_name(client: ApiClient, worker: ApiClient) -> None:
    """A name is only a label; it is never used as a path."""
    batch_id = empty(client)
    assert upload(client, batch_id, (b"x", "../../etc/passwd", None)).status_code == 201
    act(client, batch_id, "stage")
    task = lease(worker, batch_id)[0]
    assert worker.get(task["payload"]["content_url"]).data == b"x"


def test_412_another_version(same_client: ApiClient) -> None:
    """Contract 4: a caller may send If-Match; a mismatch is 412 and changes nothing."""
    batch_id = empty(same_client)
    path = f"/api/batches/{batch_id}/documents"
    body = {"documents": [{"name": "a", "text": "x"}]}
    refused(same_client.post(path, json=body, headers={"If-Match": '"2"'}), 412)
    refused(same_client.post(path, json=body, headers={"If-Match": "1"}), 422)
    assert show(same_client, batch_id)["version"] == 1
    assert same_client.post(path, json=body, headers={"If-Match": '"1"'}).status_code == 201


def test_documents_without_prompts_do_not_stage(same_client: ApiClient) -> None:
    """Contract 2: `stage` needs documents, prompts and models."""
    for missing in ("documents", "prompts", "models"):
        body = {"documents": [{"name": "a", "text": "x"}], "prompts": [PROMPT], "models": [MODEL]}
        batch = answered(same_client.post("/api/batches", json={"name": "n", **body, missing: []}), 201)
        answer = same_client.post(f"/api/batches/{batch['id']}/action", json={"action": "stage"})
        assert missing in refused(answer, 409)["reason"]
