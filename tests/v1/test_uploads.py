"""Uploads in parts through OpenAI's SDK."""

import hashlib
from pathlib import Path

import openai
import pytest
from openai.types import Upload

from tests.v1.conftest import Sdk
from tests.v1.test_files import bytes_of

SENT = bytes_of(700_000)


def begin(client: openai.OpenAI, size: int = len(SENT)) -> Upload:
    return client.uploads.create(bytes=size, filename="big.jsonl", mime_type="application/jsonl", purpose="batch")


def parts(client: openai.OpenAI, upload: Upload, *pieces: bytes) -> list[str]:
    return [client.uploads.parts.create(upload.id, data=piece).id for piece in pieces]


def test_a_file_in_parts(client: openai.OpenAI, tmp_path: Path) -> None:
    """As the SDK does it by itself: it cuts the file, and sends its md5."""
    path = tmp_path / "big.jsonl"
    path.write_bytes(SENT)
    done = client.uploads.upload_file_chunked(
        file=path,
        mime_type="application/jsonl",
        purpose="batch",
        part_size=300_000,
        md5=hashlib.md5(SENT).hexdigest(),
    )
    assert (done.status, done.bytes, done.filename, done.purpose) == ("completed", len(SENT), "big.jsonl", "batch")
    assert done.file is not None
    assert (done.file.bytes, done.file.filename, done.file.status) == (len(SENT), "big.jsonl", "processed")
    assert client.files.content(done.file.id).content == SENT
    assert client.files.retrieve(done.file.id) == done.file


def test_the_order_is_that_of_the_completion(client: openai.OpenAI) -> None:
    upload = begin(client, 6)
    assert (upload.status, upload.object, upload.file) == ("pending", "upload", None)
    assert upload.expires_at == upload.created_at + 3600
    first, _, third, fourth = parts(client, upload, b"ab", b"never named", b"cd", b"ef")
    done = client.uploads.complete(upload.id, part_ids=[fourth, first, third])
    assert done.file is not None
    assert client.files.content(done.file.id).content == b"efabcd"


def test_what_does_not_add_up(client: openai.OpenAI) -> None:
    upload, other = begin(client, 4), begin(client, 4)
    first, second = parts(client, upload, b"ab", b"cd")
    (foreign,) = parts(client, other, b"abcd")
    for part_ids, md5, param in (
        ([first], None, "part_ids"),
        ([first, second, second], None, "part_ids"),
        ([first, first], None, "part_ids"),
        ([foreign], None, "part_ids"),
        (["part_0"], None, "part_ids"),
        ([first, second], hashlib.md5(b"dcba").hexdigest(), "md5"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.uploads.complete(upload.id, part_ids=part_ids, md5=md5 or openai.omit)
        assert refused.value.param == param
    assert client.uploads.complete(upload.id, part_ids=[first, second]).status == "completed"


def test_an_upload_that_is_over_takes_nothing(client: openai.OpenAI) -> None:
    completed, cancelled = begin(client, 2), begin(client, 2)
    (part,) = parts(client, completed, b"ab")
    client.uploads.complete(completed.id, part_ids=[part])
    assert client.uploads.cancel(cancelled.id).status == "cancelled"
    for upload in (completed, cancelled):
        with pytest.raises(openai.BadRequestError):
            client.uploads.cancel(upload.id)
        with pytest.raises(openai.BadRequestError):
            client.uploads.complete(upload.id, part_ids=[part])
        with pytest.raises(openai.BadRequestError):
            parts(client, upload, b"cd")
    with pytest.raises(openai.NotFoundError):
        client.uploads.cancel("upload_999999")


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"bytes": -1}, "bytes"),
        ({"bytes": 2**31 + 1}, "bytes"),
        ({"purpose": "vision"}, "purpose"),
        ({"filename": ""}, "filename"),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, "expires_after.seconds"),
    ],
)
def test_wrong_values_name_their_parameter(client: openai.OpenAI, changed: dict[str, object], param: str) -> None:
    sent = {"bytes": 1, "filename": "a", "mime_type": "text/plain", "purpose": "batch", **changed}
    with pytest.raises(openai.BadRequestError) as refused:
        client.uploads.create(**sent)  # type: ignore[arg-type]
    assert refused.value.param == param


def test_a_viewer_sends_nothing(sdk: Sdk) -> None:
    upload = begin(sdk("operator"))
    for call in (begin, lambda client: parts(client, upload, b"a"), lambda client: client.uploads.cancel(upload.id)):
        with pytest.raises(openai.PermissionDeniedError):
            call(sdk("viewer"))
