"""What is wrong with a call, and what is wrong with the lines of a file: OpenAI's codes and parameters."""

from typing import Any

import openai
import orjson
import pytest
import requests

from app.domain.answer.endpoints import ENDPOINTS
from app.v1.fields import MOST_BODY_BYTES
from tests.support.server import Shared
from tests.support.waiting import LIMIT_SECONDS
from tests.v1.hands import reach
from tests.v1.lines import create, input_file, line


@pytest.mark.parametrize(
    ("changed", "param", "code"),
    [
        ({"endpoint": "/v1/images/generations"}, "endpoint", "invalid_value"),
        ({"completion_window": "4m"}, "completion_window", "invalid_value"),
        ({"completion_window": "31d"}, "completion_window", "invalid_value"),
        ({"completion_window": "soon"}, "completion_window", "invalid_value"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "object_above_max_properties"),
        ({"metadata": {"k" * 65: ""}}, f"metadata.{'k' * 64}", "string_above_max_length"),
        ({"metadata": {"a": "v" * 513}}, "metadata.a", "string_above_max_length"),
        ({"metadata": {"interlock.max_cost": "much"}}, "metadata.interlock.max_cost", "invalid_value"),
        ({"metadata": {"interlock.reuse": "yes"}}, "metadata.interlock.reuse", "invalid_value"),
        ({"output_expires_after": {"anchor": "x", "seconds": 3600}}, "output_expires_after.anchor", "invalid_value"),
        ({"input_file_id": ""}, "input_file_id", "invalid_value"),
    ],
)  # fmt: skip
def test_wrong_values(client: openai.OpenAI, changed: dict[str, Any], param: str, code: str) -> None:
    call = {"input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h", **changed}
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(**call)
    assert (refused.value.param, refused.value.code, refused.value.type) == (param, code, "invalid_request_error")
    assert param.split(".")[0] in refused.value.message


def test_the_supported_endpoints_are_listed(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(input_file_id="f", endpoint="/v1/videos", completion_window="24h")
    assert all(f"'{each}'" in refused.value.message for each in ENDPOINTS)


@pytest.mark.parametrize("missing", ["input_file_id", "endpoint", "completion_window"])
def test_missing_values(shared: Shared, missing: str) -> None:
    call = {"input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h", "unknown": 1}
    call.pop(missing)
    with shared.server.session("operator") as http:
        answer = http.post(f"{shared.server.url}/v1/batches", json=call, timeout=LIMIT_SECONDS)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == missing
    assert answer.json()["error"]["code"] == "missing_required_parameter"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"a"', b"[" * 3000])
def test_bodies_that_are_no_object(shared: Shared, body: bytes) -> None:
    with shared.server.session("operator") as http:
        headers = {"Content-Type": "application/json"}
        answer = http.post(f"{shared.server.url}/v1/batches", data=body, headers=headers, timeout=LIMIT_SECONDS)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(("window", "seconds"), [("5m", 300), ("90m", 5_400), ("12h", 43_200), ("30d", 2_592_000)])
def test_windows(client: openai.OpenAI, window: str, seconds: int) -> None:
    made = create(client, line("a"), completion_window=window)
    assert made.completion_window == window
    assert made.expires_at == made.created_at + seconds


def without(name: str) -> dict[str, Any]:
    whole = line("x")
    whole.pop(name)
    return whole


CHAT = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
BAD_LINES: list[tuple[Any, str, str | None]] = [
    (b"{", "invalid_json_line", None),
    (b"[1]", "invalid_json_line", None),
    (b"\xff\xfe", "invalid_json_line", None),
    *((without(name), "missing_required_parameter", name) for name in ("custom_id", "method", "url", "body")),
    ({**line("x"), "custom_id": 7}, "invalid_request", "custom_id"),
    ({**line("x"), "body": "text"}, "invalid_request", "body"),
    ({**line("x"), "method": "GET"}, "invalid_request", "method"),
    (line("x", url="/v1/embeddings"), "invalid_url", "url"),
    (line("x", url="/v1/nothing"), "invalid_url", "url"),
    (line("x", stream=True), "streaming_unsupported", "body.stream"),
    (line("x", model=None), "invalid_request", "body.model"),
    (line("x", model=""), "invalid_request", "body.model"),
    (line("x", messages=None), "invalid_request", "body.messages"),
    (line("x", messages=[]), "invalid_request", "body.messages"),
    (b'{"custom_id":"x","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[1],"seed":1e999}}',
     "invalid_json_line", None),
    (line("first"), "duplicate_custom_id", "custom_id"),
]  # fmt: skip


def test_every_bad_line_is_named(client: openai.OpenAI) -> None:
    """All of them together, each with its number, its code and its parameter; empty lines count, and are no task."""
    good = {**line("first"), "unknown": "is ignored"}
    lines = [good, b"", *(bad for bad, _, _ in BAD_LINES)]
    failed = reach(client, create(client, *lines), "failed")
    assert failed.errors is not None
    assert failed.errors.object == "list"
    assert failed.errors.data
    assert [(each.line, each.code, each.param) for each in failed.errors.data] == [
        (number, code, param) for number, (_, code, param) in enumerate(BAD_LINES, 3)
    ]
    assert all(each.message for each in failed.errors.data)


def test_the_first_thousand_bad_lines_are_named(client: openai.OpenAI) -> None:
    failed = reach(client, create(client, *[b"{"] * 1_005), "failed")
    assert failed.errors is not None
    assert failed.errors.data
    assert len(failed.errors.data) == 1_000


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file(client: openai.OpenAI, content: bytes) -> None:
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    made = client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
    failed = reach(client, made, "failed")
    assert failed.errors is not None
    assert failed.errors.data
    assert [each.code for each in failed.errors.data] == ["empty_file"]


def test_a_file_that_is_not_there(client: openai.OpenAI) -> None:
    made = client.batches.create(input_file_id="file-nothing", endpoint="/v1/embeddings", completion_window="24h")
    assert (made.status, made.input_file_id) == ("validating", "file-nothing")
    failed = reach(client, made, "failed")
    assert failed.errors is not None
    assert failed.errors.data
    assert [(each.code, each.param, each.line) for each in failed.errors.data] == [("invalid_request", "file_id", None)]


def test_a_file_in_another_encoding(client: openai.OpenAI) -> None:
    content = orjson.dumps(line("a")).decode().encode("utf-16")
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    made = client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
    failed = reach(client, made, "failed")
    assert failed.errors is not None
    assert failed.errors.data
    assert "UTF-16" in str(failed.errors.data[0].message)


def test_what_is_taken(client: openai.OpenAI) -> None:
    """A byte order mark, no line break at the end, CRLF, the endpoint without its /v1, two models, any order."""
    first, second = line("a", url="/chat/completions"), line("b", model="other")
    content = b"\xef\xbb\xbf" + orjson.dumps(first) + b"\r\n" + orjson.dumps(second)
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    made = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    running = reach(client, made, "in_progress")
    assert running.model is None
    assert running.request_counts is not None
    assert running.request_counts.total == 2
    assert client.files.content(file.id).content == content


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_endpoints(client: openai.OpenAI, endpoint: Any) -> None:
    body = {"model": "m", "input": "x", "prompt": "x"}
    file_id = input_file(client, {"custom_id": "a", "method": "POST", "url": endpoint, "body": {**CHAT, **body}})
    made = client.batches.create(input_file_id=file_id, endpoint=endpoint, completion_window="24h")
    assert reach(client, made, "in_progress").endpoint == endpoint


@pytest.mark.parametrize("path", ["/batches", "/uploads"])
def test_a_call_is_no_large_body(client: openai.OpenAI, path: str) -> None:
    """Its JSON would take several times as much memory."""
    with pytest.raises(openai.APIStatusError) as refused:
        client.post(path, cast_to=object, body={"metadata": {"a": "x" * MOST_BODY_BYTES}})
    assert (refused.value.status_code, refused.value.type) == (413, "invalid_request_error")


def test_fields_beside_a_file_are_small(shared: Shared) -> None:
    form = {"purpose": "batch", **{str(number): "x" * 100_000 for number in range(4)}}
    with shared.server.session("operator") as http:
        answer = http.post(f"{shared.server.url}/v1/files", data=form, files={"file": b"a"}, timeout=LIMIT_SECONDS)
    assert answer.status_code == 400
    assert "fields are too large" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/files/1/2"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_unknown_addresses(shared: Shared, method: str, path: str) -> None:
    answer = requests.request(method, f"{shared.server.url}/v1{path}", timeout=LIMIT_SECONDS)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_url"
