"""Files through OpenAI's SDK: the bytes that came are the bytes that go."""

import hashlib
import random
import time
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from io import BytesIO
from urllib.parse import urlsplit

import openai
import orjson
import pytest
import requests

from app import create_app
from app.services import Services
from app.services.file.chunks import CHUNK_BYTES, TOGETHER_BYTES
from config import Config
from tests.support.server import Shared
from tests.support.waiting import LIMIT_SECONDS
from tests.v1 import event_loops
from tests.v1.conftest import Sdk

LINE = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": []}}\n'


def bytes_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_a_file_from_upload_to_deletion(client: openai.OpenAI) -> None:
    before = int(time.time()) - 5
    made = client.files.create(file=("lines ä.jsonl", LINE), purpose="batch")
    assert made.id.startswith("file-")
    assert (made.object, made.bytes, made.filename) == ("file", len(LINE), "lines ä.jsonl")
    assert (made.purpose, made.status, made.expires_at) == ("batch", "processed", None)
    assert before <= made.created_at <= time.time() + 5

    assert client.files.retrieve(made.id) == made
    assert made in client.files.list().data
    content = client.files.content(made.id)
    assert content.content == LINE
    assert content.response.headers["Content-Length"] == str(len(LINE))
    assert client.files.wait_for_processing(made.id).id == made.id

    deleted = client.files.delete(made.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (made.id, "file", True)
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError) as refused:
            call(made.id)
        assert refused.value.type == "invalid_request_error"
    assert made not in client.files.list().data


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, TOGETHER_BYTES + 1])
def test_every_byte_comes_back(client: openai.OpenAI, size: int) -> None:
    """Lengths around those of the chunks in which the bytes are stored; whole and as a stream."""
    sent = bytes_of(size)
    made = client.files.create(file=("any", sent), purpose="batch")
    assert made.bytes == size
    assert client.files.content(made.id).content == sent
    with client.files.with_streaming_response.content(made.id) as streamed:
        assert b"".join(streamed.iter_bytes()) == sent


@pytest.mark.parametrize("around", [b"\r\n--", b"--boundary--\r\n", b"\r\n\r\n\r", b"\xef\xbb\xbf"])
def test_bytes_that_look_like_multipart_come_back(client: openai.OpenAI, around: bytes) -> None:
    sent = around + bytes_of(70_000) + around
    made = client.files.create(file=("any", sent), purpose="batch")
    assert client.files.content(made.id).content == sent


def test_the_asynchronous_client(shared: Shared) -> None:
    async def run() -> None:
        url, key = f"{shared.server.url}/v1", shared.server.tokens["operator"]
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            made = await client.files.create(file=("lines.jsonl", LINE), purpose="batch")
            assert (await client.files.retrieve(made.id)) == made
            assert (await client.files.content(made.id)).content == LINE
            assert made.id in [each.id async for each in client.files.list(limit=1)]
            assert (await client.files.delete(made.id)).deleted

    event_loops.run(run())


def test_lists_have_pages(client: openai.OpenAI) -> None:
    made = [client.files.create(file=(f"{n}.jsonl", LINE), purpose="batch").id for n in range(5)]
    newest_first = client.files.list(limit=2)
    assert [each.id for each in newest_first.data] == [made[4], made[3]]
    assert newest_first.has_more
    second = newest_first.get_next_page()
    assert [each.id for each in second.data] == [made[2], made[1]]
    ids = [each.id for each in client.files.list(limit=3, order="asc", after=made[0])]
    assert ids == made[1:]
    outputs = client.files.list(purpose="batch_output", limit=100).data  # those of other tests are there
    assert not {each.id for each in outputs} & {*made}
    assert {each.purpose for each in outputs} <= {"batch_output"}


def test_a_file_expires(client: openai.OpenAI) -> None:
    made = client.files.create(
        file=("short.jsonl", LINE), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert made.expires_at == made.created_at + 3600


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"purpose": "assistants"}, "purpose"),
        ({"expires_after": {"anchor": "created_at", "seconds": 3599}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "created_at", "seconds": 2592001}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "last_active_at", "seconds": 3600}}, "expires_after.anchor"),
    ],
)
def test_wrong_values_name_their_parameter(client: openai.OpenAI, changed: dict[str, object], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(**{"file": ("a", LINE), "purpose": "batch", **changed})  # type: ignore[arg-type]
    assert (refused.value.param, refused.value.code) == (param, "invalid_value")


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 10_001}, {"order": "up"}, {"after": "file-x"}])
def test_wrong_queries_name_their_parameter(client: openai.OpenAI, query: dict[str, object]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.list(**query)  # type: ignore[arg-type]
    assert refused.value.param in query


def test_bodies_that_are_no_upload(shared: Shared) -> None:
    url = f"{shared.server.url}/v1/files"
    with shared.server.session("operator") as http:
        for sent, param in (
            ({"data": {"purpose": "batch"}, "files": {"other": LINE}}, "file"),
            ({"files": {"file": ("a", LINE)}}, "purpose"),
            ({"json": {"purpose": "batch"}}, None),
            ({"data": b"--x\r\nno end", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, None),
            ({"data": b"", "headers": {"Content-Type": "multipart/form-data"}}, None),
        ):
            answer = http.post(url, timeout=LIMIT_SECONDS, **sent)  # type: ignore[arg-type]
            assert answer.status_code == 400, sent
            error = answer.json()["error"]
            assert set(error) == {"message", "type", "param", "code"}
            assert (error["type"], error["param"]) == ("invalid_request_error", param)
            assert answer.headers["x-request-id"]


def test_who_may_do_what(sdk: Sdk) -> None:
    made = sdk("operator").files.create(file=("a", LINE), purpose="batch")
    viewer = sdk("viewer")
    assert viewer.files.retrieve(made.id) == made
    assert viewer.files.content(made.id).content == LINE
    for client in (viewer, sdk("worker")):
        with pytest.raises(openai.PermissionDeniedError):
            client.files.create(file=("a", LINE), purpose="batch")
        with pytest.raises(openai.PermissionDeniedError):
            client.files.delete(made.id)
    with pytest.raises(openai.PermissionDeniedError):
        sdk("worker").files.list()


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic YTpi", "Bearer"])
def test_without_a_valid_token(shared: Shared, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method, path in (("GET", "files"), ("POST", "files"), ("GET", "files/file-1/content"), ("POST", "uploads")):
        url = f"{shared.server.url}/v1/{path}"
        answer = requests.request(method, url, headers=headers, timeout=LIMIT_SECONDS)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("call", ["GET /v1/nothing", "PUT /v1/files", "POST /v1/chat/completions", "DELETE /v1/a/b"])
def test_unknown_addresses_answer_in_this_form_too(shared: Shared, call: str) -> None:
    method, path = call.split()
    for accept in ("*/*", "text/html"):
        url = f"{shared.server.url}{path}"
        answer = requests.request(method, url, headers={"Accept": accept}, timeout=LIMIT_SECONDS)
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == f"Invalid URL ({method} {path})"


def test_the_content_has_one_hash(client: openai.OpenAI) -> None:
    sent = bytes_of(3 * CHUNK_BYTES + 17)
    made = client.files.create(file=("a", sent), purpose="batch")
    hashes = {hashlib.sha256(client.files.content(made.id).content).hexdigest() for _ in range(3)}
    assert hashes == {hashlib.sha256(sent).hexdigest()}


def test_a_file_that_is_too_large(services: Services, config: Config) -> None:
    """Contract 6, MAX_JSONL_BYTES: exactly so large is stored, one byte more is refused."""
    app = create_app(replace(config, max_jsonl_bytes=100_000))
    key = services.tokens.create("op", "operator")["token"]
    for size, status in ((100_000, 200), (100_001, 413), (400_000, 413)):
        form = {"purpose": "batch", "file": (BytesIO(b"a" * size), "a.jsonl")}
        with app.test_client() as http:
            answer = http.post("/v1/files", data=form, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status
        if status == 413:
            assert answer.json["error"]["type"] == "invalid_request_error"
    app.extensions["interlock"].engine.dispose()


def test_a_body_that_no_call_takes(shared: Shared) -> None:
    """The server refuses it by its Content-Length, before the application sees it."""
    address = urlsplit(shared.server.url)
    with closing(HTTPConnection(str(address.hostname), address.port, timeout=LIMIT_SECONDS)) as connection:
        connection.putrequest("POST", "/v1/files")
        connection.putheader("Content-Length", str(10**12))
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Content-Type")) == (413, "application/json")
        assert answer.getheader("x-request-id")
        assert orjson.loads(answer.read())["error"]["type"] == "invalid_request_error"
