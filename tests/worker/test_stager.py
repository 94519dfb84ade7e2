"""The stager: which documents are read, how they are decoded, and how unreadable ones are reported."""

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from app.worker import Task, TaskFailed
from app.worker.documents_root import DocumentsRoot
from app.worker.extraction import Limits
from app.worker.extraction.encodings import decode_text
from app.worker.service import download
from app.worker.service.client import Address
from app.worker.stager import Stager
from tests.support import documents
from tests.worker.fake_service import FakeService

URL = "/api/documents/7/content"


@pytest.fixture
def stager(service: FakeService) -> Stager:
    return Stager(Address(service.url, service.token), Limits(bytes=1000))


def document(name: str = "a.txt", media_type: str | None = "text/plain", **payload: object) -> Task:
    return Task("1", 1, 1, "STAGE", 1, {"document": {"id": 7, "name": name, "media_type": media_type}, **payload})


def failure_of(stager: Stager, task: Task) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        stager(task)
    return caught.value


def test_text_in_the_payload_is_taken_as_it_stands(stager: Stager) -> None:
    result = stager(document(text="# not *marked*\n"))
    assert result == {"text": "# not *marked*\n", "metadata": {"media_type": "text/plain", "characters": 15}}


def test_markdown_loses_its_marks(stager: Stager) -> None:
    raw = (
        "# Title *here*\n\nSee [the page](http://x.example) and `code`.\n\n- one\n- two\n\n3. three\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nkept  as is\n```\n\n<p>Hello <b>you</b></p><!-- no -->\n\n"
        "![a cat](cat.png) line<br>break\n\n> quoted\n"
    )
    result = stager(document("a.md", "text/markdown", text=raw))
    assert result["text"].split("\n\n") == [
        "Title here", "See the page (http://x.example) and code.", "- one", "- two", "3. three", "a | b", "1 | 2",
        "kept  as is", "Hello you", "a cat line\nbreak", "quoted",
    ]  # fmt: skip
    assert result["metadata"]["title"] == "Title here"
    assert result["metadata"]["headings"] == 1


@pytest.mark.parametrize("media_type", [None, "", "application/octet-stream"])
def test_the_ending_of_the_name_decides_where_the_type_is_unknown(stager: Stager, media_type: str | None) -> None:
    assert stager(document("a.MD", media_type, text="# T"))["text"] == "T"
    assert stager(document("a.txt", media_type, text="# T"))["text"] == "# T"


@pytest.mark.parametrize(
    ("content", "text", "encoding"),
    [
        ("Grüße".encode(), "Grüße", "utf-8"),
        (b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", "Grüße", "utf-8-sig"),
        ("Grüße".encode("utf-16"), "Grüße", "utf-16"),
        (b"\xfe\xff" + "Grüße".encode("utf-16-be"), "Grüße", "utf-16"),
        ("Grüße".encode("utf-32"), "Grüße", "utf-32"),
        (b"Gr\xfc\xdfe \x96 \x80", "Grüße – €", "cp1252"),
        (b"Gr\xfc\xdfe \x81", "Grüße \ufffd", "cp1252"),
    ],
)
def test_files_are_decoded(stager: Stager, service: FakeService, content: bytes, text: str, encoding: str) -> None:
    service.files[URL] = content
    result = stager(document(content_url=URL))
    assert result["text"] == text
    assert result["metadata"]["encoding"] == encoding
    assert result["metadata"]["bytes"] == len(content)


def test_the_charset_of_the_media_type_is_used(stager: Stager, service: FakeService) -> None:
    service.files[URL] = "10 €".encode("iso-8859-15")
    assert stager(document(media_type="text/plain; charset=ISO-8859-15", content_url=URL))["text"] == "10 €"
    service.files[URL] = b"plain"
    for nonsense in ("klingon", "base64", "", "utf-8"):
        assert stager(document(media_type=f'text/plain; charset="{nonsense}"', content_url=URL))["text"] == "plain"


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        (b"", "unreadable", "is empty"),
        (b"\x7fELF\x02\x00\x00", "unreadable", "is broken"),
        (b"%PDF-1.7 nothing", "unreadable", "is broken"),
        (documents.encrypted_pdf(["a"]), "unreadable", "is encrypted"),
        (b"x" * 10_001, "too_large", "is larger than 10000 bytes"),
        (b"x" * 101, "too_large", "holds more than 100 characters"),
    ],
    ids=range(6),
)
def test_what_cannot_be_read_fails_for_good_and_says_which_and_why(
    service: FakeService, content: bytes, code: str, reason: str
) -> None:
    service.files[URL] = content
    stager = Stager(Address(service.url, service.token), Limits(bytes=10_000, characters=100))
    failure = failure_of(stager, document("scan.bin", "application/pdf", content_url=URL))
    assert (failure.code, failure.retryable) == (code, False)
    assert failure.message.startswith(f"Document 'scan.bin' {reason}")


def test_a_text_of_the_payload_that_is_empty_is_no_document(stager: Stager) -> None:
    assert "is empty" in failure_of(stager, document(text=" \n")).message


def test_a_file_below_the_root_is_read(stager: Stager, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(documents.pdf(["agreement"]))
    task = document("a.pdf", "application/pdf", path="a.pdf")
    at_root = replace(stager, limits=Limits(), root=DocumentsRoot(tmp_path))
    assert at_root(task)["text"] == "agreement"
    assert "--documents-root" in failure_of(stager, task).message
    assert failure_of(stager, task).code == "no_documents_root"
    for path, code in (("no.pdf", "unreadable"), ("../a.pdf", "path_refused"), (str(tmp_path), "path_refused")):
        failure = failure_of(at_root, document("a", None, path=path))
        assert (failure.code, failure.retryable) == (code, False)


def test_a_folder_is_listed(stager: Stager, tmp_path: Path) -> None:
    at_root = replace(stager, root=DocumentsRoot(tmp_path))
    (tmp_path / "in").mkdir()
    for name in ("a.txt", "b.pdf", "same.txt"):
        (tmp_path / "in" / name).write_bytes(b"x" * 2000 if name == "b.pdf" else b"one")
    found = at_root(document("in/*", folder="in/*"))["documents"]
    assert [(each["name"], each["path"], each["media_type"], each["size_bytes"]) for each in found] == [
        ("in/a.txt", "in/a.txt", "text/plain", 3),
        ("in/b.pdf", "in/b.pdf", "application/pdf", 2000),
        ("in/same.txt", "in/same.txt", "text/plain", 3),
    ]
    assert found[0]["sha256"] == found[2]["sha256"] == hashlib.sha256(b"one").hexdigest()
    nothing = failure_of(at_root, document("no/*", folder="no/*"))
    assert nothing.code == "unreadable"
    assert failure_of(at_root, document("/etc/*", folder="/etc/*")).code == "path_refused"
    assert failure_of(stager, document("in/*", folder="in/*")).code == "no_documents_root"


def test_a_large_file_is_not_read_to_its_end(stager: Stager, service: FakeService) -> None:
    service.files[URL] = b"x" * 1001
    failure = failure_of(stager, document(content_url=URL))
    assert (failure.code, failure.retryable) == ("too_large", False)
    service.files[URL] = b"x" * 1000
    assert len(stager(document(content_url=URL))["text"]) == 1000


def test_a_download_is_tried_again_and_then_left_for_later(
    stager: Stager, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.files[URL] = b"here"
    service.order("content", 503)
    assert stager(document(content_url=URL))["text"] == "here"
    service.order("content", *[503] * 20, "page", "page")
    assert stager(document(content_url=URL))["text"] == "here"
    monkeypatch.setattr(download, "MAX_SECONDS", 0.0)
    service.order("content", 503)
    failure = failure_of(stager, document(content_url=URL))
    assert (failure.code, failure.retryable) == ("content_unavailable", True)


def test_a_page_of_a_proxy_is_no_document(stager: Stager, service: FakeService) -> None:
    service.files[URL] = b"here"
    service.order("content", "page", (404, {"Content_Type": "text/html"}), "page", (302, {"Location": "/x"}))
    assert stager(document(content_url=URL))["text"] == "here"
    assert not service.orders["content"]


def test_a_download_ends_with_its_task(stager: Stager, service: FakeService) -> None:
    task = document(content_url=URL)
    task.stopping.set()
    service.order("content", 503)
    assert failure_of(stager, task).code == "content_unavailable"


def test_a_missing_file_fails_for_good(stager: Stager) -> None:
    failure = failure_of(stager, document(content_url="/api/documents/8/content"))
    assert (failure.code, failure.retryable) == ("content_unavailable", False)


@pytest.mark.parametrize("elsewhere", ["http://127.0.0.2:1/x", "//127.0.0.2/x", "file:///etc/passwd"])
def test_the_token_goes_nowhere_else(stager: Stager, elsewhere: str) -> None:
    failure = failure_of(stager, document(content_url=elsewhere))
    assert (failure.code, failure.retryable) == ("bad_payload", False)


def test_a_payload_without_content_fails_for_good(stager: Stager) -> None:
    assert failure_of(stager, document()).code == "bad_payload"


def test_the_stager_travels_to_other_processes_and_hides_its_token(stager: Stager) -> None:
    assert pickle.loads(pickle.dumps(stager)) == stager
    assert stager.address.token not in repr(stager)


def test_decoding_never_raises() -> None:
    assert decode_text(bytes(range(1, 256)))[0]
