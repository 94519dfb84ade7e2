"""POST /api/batches?name=... with application/jsonl: one ready-made task a line."""

import json
from typing import Any

import pytest
from flask import Flask

from app.services.input import json_lines
from app.services.input.bad_lines import MOST_NAMED
from tests.api.lives import act, answered, complete, create_ready, lease, refused
from tests.support.client import ApiClient

GOOD = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": []}}


def post(client: ApiClient, *lines: Any, name: str = "?name=lines") -> Any:
    data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return client.post(f"/api/batches{name}", data=data, content_type="application/jsonl")


def test_each_line_is_one_analysis_task(same_client: ApiClient) -> None:
    """Contract 5: a ready-made line is the ANALYZE payload as it stands; its result names its custom_id."""
    lines = [{**GOOD, "custom_id": name} for name in ("b", "a", "\U0001f600")]
    made = post(same_client, *lines)
    batch = answered(made, 201)
    assert made.headers["Location"] == f"/api/batches/{batch['id']}"
    assert made.headers["ETag"] == '"1"'
    assert (batch["name"], batch["state"]) == ("lines", "SAVED")
    assert batch["allowed_actions"] == ["stage", "reset"]
    assert act(same_client, batch["id"], "stage")["state"] == "STAGED"
    act(same_client, batch["id"], "run")
    tasks = lease(same_client, batch["id"])
    assert [task["kind"] for task in tasks] == ["ANALYZE"] * 3
    assert [task["payload"] for task in tasks] == lines
    for task in tasks:
        assert complete(same_client, task).status_code == 200
    results = [json.loads(line) for line in same_client.get(f"/api/batches/{batch['id']}/results").text.splitlines()]
    assert [(r["custom_id"], r["document"], r["prompt"], r["model"]) for r in results] == [
        (name, None, None, None) for name in ("b", "a", "\U0001f600")
    ]


def test_staging_ready_made_tasks_makes_two_changes(same_client: ApiClient) -> None:
    """Contract 5: `stage` of ready-made tasks raises an event at once: `batch` differs from `new_state`."""
    batch = create_ready(same_client)
    answer = same_client.post(f"/api/batches/{batch['id']}/action", json={"action": "stage"})
    body = answered(answer)
    assert (body["previous_state"], body["new_state"], body["version"]) == ("SAVED", "STAGING", 2)
    assert (body["batch"]["state"], body["batch"]["version"]) == ("STAGED", 3)
    assert answer.headers["ETag"] == '"3"'


@pytest.mark.parametrize(
    "tail", [b"", b"\n", b"\r\n", b"\n\n\n", b"\n  \n"], ids=["none", "one", "crlf", "many", "spaces"]
)
def test_empty_lines_are_ignored(same_client: ApiClient, tail: bytes) -> None:
    """Contract 5: one ready-made task a line; an empty line is no task."""
    assert answered(post(same_client, json.dumps(GOOD).encode() + tail), 201)["input"]["ready_tasks"] == 1


def test_a_charset_beside_the_media_type(same_client: ApiClient) -> None:
    """Contract 5: `Content-Type: application/jsonl`, UTF-8."""
    answer = same_client.post(
        "/api/batches?name=x", data=json.dumps(GOOD), content_type="application/jsonl; charset=utf-8"
    )
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b"1",
        b"null",
        b"\xff\xfe",
        b'{"custom_id": "\\ud800", "method": "POST", "url": "/v1/responses", "body": {}}',
        {},
        {**GOOD, "custom_id": ""},
        {**GOOD, "custom_id": 1},
        {**GOOD, "custom_id": "a\0b"},
        {**GOOD, "custom_id": "x" * 501},
        {**GOOD, "method": "a" * 11},
        {**GOOD, "url": "a\0"},
        {**GOOD, "body": "x"},
        {**GOOD, "body": None},
        {**GOOD, "surprise": 1},
        {**GOOD, "url": "/v1/images/generations"},
        {**GOOD, "body": {"stream": True}},
        {key: GOOD[key] for key in ("method", "url", "body")},
    ],
    ids=range(19),
)
def test_422_a_bad_line_is_named_by_its_number(same_client: ApiClient, bad: Any) -> None:
    """Contract 5: a bad line is named by its number and nothing is stored."""
    before = same_client.get("/api/batches").json
    body = refused(post(same_client, {**GOOD, "custom_id": "1"}, b"", bad, {**GOOD, "custom_id": "2"}), 422)
    assert list(body["errors"]) == ["line 3"]
    assert "line 3" in body["detail"].lower()
    assert same_client.get("/api/batches").json == before


def test_422_several_bad_lines_are_all_named(same_client: ApiClient) -> None:
    """Contract 5: a bad line is named by its number."""
    assert set(refused(post(same_client, b"{", GOOD, b"[]"), 422)["errors"]) == {"line 1", "line 3"}


def test_422_of_very_many_bad_lines_a_thousand_are_named_and_all_are_counted(same_client: ApiClient) -> None:
    """Contract 5: a bad line is named by its number; the answer stays readable."""
    twins = [{**GOOD, "custom_id": str(n % 1_500)} for n in range(3_500)]
    body = refused(post(same_client, b"{", *twins), 422)
    assert body["bad_lines"] == 1 + 2_000
    assert list(body["errors"]) == ["line 1", *(f"line {1_502 + n}" for n in range(MOST_NAMED - 1))]
    assert body["errors"]["line 1502"] == ["custom_id '0' is on line 2 already"]
    assert "line 1, line 1502" in body["detail"]
    assert "and 1,981 more" in body["detail"]


def test_422_a_message_about_a_line_is_short(same_client: ApiClient) -> None:
    """Contract 5: quotations from the line are cut."""
    many = {f"surprise-{n}": n for n in range(2_000)}
    answer = post(same_client, {**GOOD, **many}, *[{**GOOD, "custom_id": "x" * 500}] * 2)
    assert set(refused(answer, 422)["errors"]) == {"line 1", "line 3"}
    assert len(answer.data) < 2_000


def test_413_a_line_that_is_too_long(same_client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract 5: too large is 413; a file without line ends is refused without reading all of it."""
    monkeypatch.setattr(json_lines, "LINE_BYTES", 1_000)
    body = refused(post(same_client, GOOD, {**GOOD, "body": {"x": "y" * 1_000}}), 413)
    assert body["detail"] == "Line 2 is longer than 1000 bytes."


def test_lines_may_be_larger_than_other_bodies(
    same_client: ApiClient, same_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract 5: too large is 413; JSON lines have their own limit, which no other call has."""
    monkeypatch.setitem(same_app.config, "MAX_CONTENT_LENGTH", 2_000)
    monkeypatch.setitem(same_app.config, "MAX_JSONL_BYTES", 5_000)
    for size, status in ((3_000, 201), (6_000, 413)):
        assert post(same_client, {**GOOD, "body": {"x": "y" * size}}).status_code == status
    large = json.dumps({"name": "n", "documents": [{"name": "d", "text": "y" * 3_000}]})
    for path, kind in (("/api/batches", "application/json"), ("/api/tasks/lease", "application/jsonl")):
        headers = {"Idempotency-Key": path}
        refused(same_client.post(path, data=large, content_type=kind, headers=headers), 413)


def test_the_same_lines_with_the_same_key_are_one_batch(same_client: ApiClient) -> None:
    """Contract 4: the same key, caller and body gets the first answer again; with another body, 422."""
    headers = {"Idempotency-Key": "lines", "Content-Type": "application/jsonl"}
    first, again = (same_client.post("/api/batches?name=k", data=json.dumps(GOOD), headers=headers) for _ in range(2))
    assert answered(first, 201) == answered(again, 201)
    refused(same_client.post("/api/batches?name=k", data=json.dumps(GOOD) + "\n", headers=headers), 422)


def test_every_character_arrives_as_it_was_sent(same_client: ApiClient) -> None:
    """Contract 5: the ready-made line is the payload: including tabs, quotes, backslashes and line ends."""
    odd = "\t\n\r\\ \\N \\. \"'\x7f\x1f\u2028\U0001f600"
    line = {
        "custom_id": odd,
        "method": "\\N",
        "url": "/v1/responses",
        "body": {"model": odd, odd: [None, 1.5, "\\", "\0"]},
    }
    batch = answered(post(same_client, line), 201)
    act(same_client, batch["id"], "stage")
    act(same_client, batch["id"], "run")
    assert [task["payload"] for task in lease(same_client, batch["id"])] == [line]


def test_422_the_same_custom_id_twice(same_client: ApiClient) -> None:
    """Contract 5: a result names its custom_id, so a second one of the same name is a bad line."""
    before = same_client.get("/api/batches").json
    body = refused(post(same_client, GOOD, {**GOOD, "custom_id": "b"}, GOOD), 422)
    assert list(body["errors"]) == ["line 3"]
    assert same_client.get("/api/batches").json == before


@pytest.mark.parametrize("data", [b"", b"\n", b"\n \n"])
def test_422_no_line_at_all(same_client: ApiClient, data: bytes) -> None:
    """Contract 5: one ready-made task a line; a body without lines makes no batch."""
    refused(post(same_client, data), 422)


@pytest.mark.parametrize("name", ["", "?name=", "?name=%00", "?name=" + "x" * 201, "?name=x&surprise=1"])
def test_422_without_a_usable_name(same_client: ApiClient, name: str) -> None:
    """Contract 5: `POST /api/batches?name=...`."""
    refused(post(same_client, GOOD, name=name), 422)


def test_many_lines_that_do_not_fit_into_memory_at_once(same_client: ApiClient) -> None:
    """Contract 5: a large file is spooled to disk and stored line by line."""
    lines = [json.dumps({**GOOD, "custom_id": str(n), "body": {"x": "y" * 5_000}}).encode() for n in range(1_200)]
    batch = answered(post(same_client, *lines), 201)
    assert batch["input"]["ready_tasks"] == 1_200


def test_409_documents_for_a_batch_of_lines(same_client: ApiClient) -> None:
    """Contract 1: a batch is documents crossed with prompts and models, or ready-made tasks; not half of each."""
    batch = create_ready(same_client)
    answer = same_client.post(f"/api/batches/{batch['id']}/documents", json={"documents": [{"name": "a", "text": "x"}]})
    refused(answer, 409)


def test_what_happens_to_answers_that_are_cut_off(same_client: ApiClient) -> None:
    """Contract 5: `?on_truncated=` is the option of this name; without it, such an answer is kept."""
    kept = answered(post(same_client, GOOD), 201)
    assert kept["options"]["on_truncated"] == "keep"
    refused(post(same_client, GOOD, name="?name=lines&on_truncated=ignore"), 422)
    refused(same_client.post("/api/batches?on_truncated=fail", json={"name": "b"}), 422)
    made = answered(post(same_client, GOOD, name="?name=lines&on_truncated=fail"), 201)
    assert made["options"]["on_truncated"] == "fail"
    for action in ("stage", "run"):
        act(same_client, made["id"], action)
    (task,) = lease(same_client, made["id"])
    body = {"choices": [{"message": {"content": "Two and"}, "finish_reason": "length"}]}
    done = answered(complete(same_client, task, {"status_code": 200, "request_id": "r", "body": body}))
    assert done["status"] == "FAILED"
    assert answered(same_client.get(f"/api/tasks/{task['id']}"))["error"]["code"] == "truncated"
