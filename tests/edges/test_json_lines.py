"""JSON lines as the outside sends them: byte order marks, UTF-16, other media types, compressed, large integers."""

import gzip
import json
import zlib
from typing import Any

import pytest
import requests

from tests.support.server import LiveServer, SharedServers
from tests.support.waiting import LIMIT_SECONDS

MARK = b"\xef\xbb\xbf"
JSON_LINES = {"Content-Type": "application/jsonl"}


def line(custom_id: str, **body: Any) -> bytes:
    values = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", **body}}
    return json.dumps(values).encode() + b"\n"


@pytest.fixture(scope="module")
def server(shared_servers: SharedServers) -> LiveServer:
    return shared_servers("sqlite").server


def post(server: LiveServer, data: bytes, **headers: str) -> requests.Response:
    sent = {**JSON_LINES, **{name.replace("_", "-"): value for name, value in headers.items()}}
    with server.session() as http:
        url = f"{server.url}/api/batches?name=lines"
        return http.post(url, data=data, headers=sent, timeout=LIMIT_SECONDS)


def tasks_of(answer: requests.Response) -> int:
    assert answer.status_code == 201, answer.text
    return int(answer.json()["input"]["ready_tasks"])


def refusal(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    return body


@pytest.mark.parametrize(
    "data", [MARK + line("a"), MARK + b"\n" + line("a"), line("a") + MARK],
    ids=["first line", "empty line", "no line"],
)  # fmt: skip
def test_a_byte_order_mark_is_removed(server: LiveServer, data: bytes) -> None:
    assert tasks_of(post(server, data)) == 1


def test_a_byte_order_mark_within_files_that_were_joined(server: LiveServer) -> None:
    assert tasks_of(post(server, MARK + line("a") + MARK + line("b"))) == 2


def test_a_byte_order_mark_before_a_json_body(server: LiveServer) -> None:
    with server.session() as http:
        headers = {"Content-Type": "application/json"}
        answer = http.post(f"{server.url}/api/batches", data=MARK + b'{"name": "n"}', headers=headers, timeout=60)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_unicode_encoding_is_named_in_one_sentence(server: LiveServer, encoding: str) -> None:
    data = (line("a") + line("b")).decode().encode(encoding)
    body = refusal(post(server, data), 422, "invalid")
    name = "UTF-32" if encoding == "utf-32" else "UTF-16"
    assert body["detail"] == f"The body is in {name}; send it in UTF-8. Nothing was stored."
    assert body["errors"] == {"line 1": [f"is in {name}, not in UTF-8"]}


@pytest.mark.parametrize(
    "media_type", ["application/x-ndjson", "application/x-jsonlines", "application/jsonlines", "application/jsonl"]
)
def test_every_name_of_the_media_type(server: LiveServer, media_type: str) -> None:
    assert tasks_of(post(server, line("a"), Content_Type=f"{media_type}; charset=utf-8")) == 1


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
def test_a_body_packed_with_gzip(server: LiveServer, coding: str) -> None:
    joined = gzip.compress(line("a")) + gzip.compress(line("b"))
    assert tasks_of(post(server, joined, Content_Encoding=coding)) == 2


def test_a_packed_body_sent_in_chunks(server: LiveServer) -> None:
    packed = gzip.compress(b"".join(line(str(number)) for number in range(3_000)))
    with server.session() as http:
        answer = http.post(
            f"{server.url}/api/batches?name=lines",
            data=iter([packed[:100], packed[100:]]),
            headers={**JSON_LINES, "Content-Encoding": "gzip"},
            timeout=LIMIT_SECONDS,
        )
    assert tasks_of(answer) == 3_000


def test_no_coding_at_all(server: LiveServer) -> None:
    assert tasks_of(post(server, line("a"), Content_Encoding="identity")) == 1


@pytest.mark.parametrize("coding", ["deflate", "br", "zstd", "gzip, gzip", "nonsense"])
def test_another_coding_is_refused(server: LiveServer, coding: str) -> None:
    body = refusal(post(server, zlib.compress(line("a")), Content_Encoding=coding), 415, "unsupported_media_type")
    assert "gzip" in body["detail"]


@pytest.mark.parametrize(
    "data",
    [line("a"), gzip.compress(line("a") * 99)[:-9], gzip.compress(line("a")) + b"x"],
    ids=["plain", "cut off", "more behind it"],  # packed bytes hold the time: each process would have another name
)
def test_a_body_that_is_not_gzip_or_is_cut_off(server: LiveServer, data: bytes) -> None:
    body = refusal(post(server, data, Content_Encoding="gzip"), 422, "invalid")
    assert "gzip" in body["detail"]


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_other_bodies_are_not_packed(server: LiveServer, kind: str) -> None:
    with server.session() as http:
        batch = http.post(f"{server.url}/api/batches", json={"name": "n"}, timeout=60).json()
        answer = http.post(
            f"{server.url}/api/batches/{batch['id']}/documents",
            data=gzip.compress(b'{"documents": [{"name": "a", "text": "x"}]}'),
            headers={"Content-Type": kind, "Content-Encoding": "gzip"},
            timeout=60,
        )
    refusal(answer, 415, "unsupported_media_type")


def test_the_limit_is_of_the_unpacked_bytes(start_server: Any, sqlite_url: str) -> None:
    """A few bytes unpack to very many: they are counted as they are unpacked, and the rest is never read."""
    server = start_server(sqlite_url, MAX_JSONL_BYTES="100000")
    good = line("a", text="x" * 60_000)
    assert tasks_of(post(server, gzip.compress(good), Content_Encoding="gzip")) == 1
    bomb = gzip.compress(line("b", text="x" * 50_000_000))
    assert len(bomb) < 100_000
    refusal(post(server, bomb, Content_Encoding="gzip"), 413, "too_large")


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30, int("9" * 300)])
def test_an_integer_beyond_64_bits_is_refused_by_its_line(server: LiveServer, number: int) -> None:
    """Stored as a float it would be another number, and no one would notice."""
    body = refusal(post(server, line("a") + line("b", n=[{"deep": number}]) + line("c")), 422, "invalid")
    assert list(body["errors"]) == ["line 2"]
    assert "64 bits" in body["errors"]["line 2"][0]


def test_numbers_that_are_kept(server: LiveServer) -> None:
    """The largest integers, digits in texts, and numbers with a fraction or an exponent."""
    kept = [2**64 - 1, -(2**63), "9" * 400, 'a "' + "9" * 30, 0.1234567890123456789012, 1e25, {"9" * 30: 1}]
    data = line("a", kept=kept)[:-1] + b"  \n" + line("b").replace(b'"m"', b"12345678901234567890.5e3")
    assert tasks_of(post(server, data)) == 2
