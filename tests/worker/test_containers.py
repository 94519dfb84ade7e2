"""Archives and mailboxes in a folder: each document in them is a document of the batch."""

import io
import mailbox
import os
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from app.worker import Task, TaskFailed, folder
from app.worker.documents_root import DocumentsRoot
from app.worker.extraction import Limits
from app.worker.service.client import Address
from app.worker.stager import Stager
from tests.support import documents


@pytest.fixture
def stager(tmp_path: Path) -> Stager:
    return Stager(Address("http://127.0.0.1:1", "x"), Limits(bytes=200_000), DocumentsRoot(tmp_path))


def listing(stager: Stager, pattern: str) -> dict[str, Any]:
    return stager(Task("1", 1, 1, "STAGE", 1, {"document": {"id": 7, "name": pattern}, "folder": pattern}))


def text_of(stager: Stager, found: dict[str, Any]) -> str:
    document = {"id": 8, "name": found["name"], "media_type": found["media_type"]}
    return str(stager(Task("2", 1, 1, "STAGE", 1, {"document": document, "path": found["path"]}))["text"])


def failure_of(stager: Stager, path: str) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        text_of(stager, {"name": path, "media_type": "text/plain", "path": path})
    return caught.value


def packed(path: Path, **files: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)


def letter(subject: str, body: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@x.example", subject
    message.set_content(body)
    return message


def test_the_files_of_an_archive_are_documents(stager: Stager, tmp_path: Path) -> None:
    packed(tmp_path / "letters.ZIP", in__a_pdf=documents.pdf(["agreement"]), b_txt=b"two", in__b_txt=b"two")
    (tmp_path / "c.txt").write_bytes(b"three")
    found = listing(stager, "*")["documents"]
    names = ["c.txt", "letters.ZIP/b.txt", "letters.ZIP/in/a.pdf", "letters.ZIP/in/b.txt"]
    assert [each["name"] for each in found] == names
    assert [each["media_type"] for each in found] == ["text/plain", "text/plain", "application/pdf", "text/plain"]
    assert found[1]["sha256"] == found[3]["sha256"] != found[0]["sha256"]
    assert [text_of(stager, each) for each in found] == ["three", "two", "agreement", "two"]
    assert [each["name"] for each in listing(stager, "letters.zip")["documents"]] == names[1:]


def test_the_messages_of_a_mailbox_are_documents(stager: Stager, tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "inbox.mbox")
    for number in (1, 2, 3):
        box.add(letter(f"S{number}", f"From here on, text {number}\n\nFrom the start\n"))
    box.close()
    found = listing(stager, "*.mbox")["documents"]
    assert [each["name"] for each in found] == [f"inbox.mbox/{number}.eml" for number in (1, 2, 3)]
    texts = [text_of(stager, each) for each in found]
    assert texts[1] == "From: a@x.example\nSubject: S2\n\nFrom here on, text 2\n\nFrom the start"
    assert failure_of(stager, "inbox.mbox/1@3+9.eml").message.endswith("since its messages were listed).")
    assert failure_of(stager, "inbox.mbox/x").code == "unreadable"


def test_hidden_files_and_paths_that_lead_out_are_no_documents(stager: Stager, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in (
            "__MACOSX/._a.txt",
            ".DS_Store",
            "in/~$a.docx",
            "../out.txt",
            "in/../b.txt",
            "/c.txt",
            "good.txt",
            "in/",
        ):
            archive.writestr(name, name)
    result = listing(stager, "a.zip")
    assert [each["name"] for each in result["documents"]] == ["a.zip/good.txt"]
    assert failure_of(stager, "a.zip/../../etc/passwd").code == "path_refused"


def test_what_is_in_an_archive_keeps_its_limits(stager: Stager, tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("b.txt", "deep")
    packed(tmp_path / "a.zip", bomb_txt=bytes(3_000_000), inner_zip=inner.getvalue(), text_txt=b"text")
    bomb, nested, text = listing(stager, "a.zip")["documents"]
    assert bomb["size_bytes"] == 3_000_000
    assert failure_of(stager, bomb["path"]).code == "too_large"
    assert "is an archive" in failure_of(stager, nested["path"]).message
    assert text_of(stager, text) == "text"


def test_a_container_that_cannot_be_opened_is_a_document_that_cannot_be_read(stager: Stager, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 no archive")
    (tmp_path / "b.mbox").write_bytes(b"no mailbox")
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "folder.zip" / "c.txt").write_bytes(b"in a folder")
    found = listing(stager, "*")["documents"]
    assert [each["name"] for each in found] == ["a.zip", "b.mbox"]
    assert "is broken" in failure_of(stager, "a.zip").message
    assert text_of(stager, listing(stager, "*/*")["documents"][0]) == "in a folder"


def test_too_many_files_in_archives_are_refused(
    stager: Stager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "MAX_FILES", 3)
    packed(tmp_path / "a.zip", a=b"1", b=b"2", c=b"3", d=b"4")
    with pytest.raises(TaskFailed, match="with those in archives and mailboxes") as caught:
        listing(stager, "a.zip")
    assert caught.value.code == "too_large"


def test_endings_match_in_any_case_and_lock_files_are_left_out(stager: Stager, tmp_path: Path) -> None:
    for name in ("SCAN.PDF", "a.pdf", "~$a.docx", "b.docx"):
        (tmp_path / name).write_bytes(name.encode())
    assert [each["name"] for each in listing(stager, "*.pdf")["documents"]] == ["SCAN.PDF", "a.pdf"]
    assert [each["name"] for each in listing(stager, "*.PDF")["documents"]] == ["SCAN.PDF", "a.pdf"]
    result = listing(stager, "*.docx")
    assert [each["name"] for each in result["documents"]] == ["b.docx"]
    assert result["metadata"] == {"left_out": [{"what": "1 lock file", "names": ["~$a.docx"]}]}


def test_files_of_windows_are_left_out(stager: Stager, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.txt", "Thumbs.db", "in/desktop.ini"):
        (tmp_path / name).write_bytes(name.encode())
    result = listing(stager, "**")
    assert [each["name"] for each in result["documents"]] == ["a.txt"]
    assert result["metadata"] == {
        "left_out": [{"what": "2 files of Windows", "names": ["Thumbs.db", "in/desktop.ini"]}]
    }


def test_a_picture_has_its_own_media_type(stager: Stager, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png", "c.tif", "d.csv"):
        (tmp_path / name).write_bytes(name.encode())
    found = [each["media_type"] for each in listing(stager, "*")["documents"]]
    assert found == ["image/jpeg", "image/png", "image/tiff", "text/csv"]


def test_a_name_that_is_not_utf_8_is_said(stager: Stager, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one")
    with open(os.fsencode(tmp_path) + b"/gr\xfc\xdfe.txt", "wb") as file:
        file.write(b"two")
    result = listing(stager, "*.txt")
    assert [each["name"] for each in result["documents"]] == ["a.txt"]
    omission = {"what": "1 file whose name is not UTF-8", "names": ["gr\ufffd\ufffde.txt"]}
    assert result["metadata"] == {"left_out": [omission]}
