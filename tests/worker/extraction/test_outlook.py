"""Messages that Outlook saved: headers, the fuller body, attached messages."""

from datetime import UTC, datetime

import pytest

from app.worker.extraction.mail.compressed_rtf import decompressed
from tests.worker.extraction.ole_files import message, ole
from tests.worker.extraction.reading import left_out, read, why

HEADERS = {"0037": "Offer", "0C1A": "Ann Lee", "5D01": "ann@x.example", "0E04": "Bob", "0E03": "Cy"}
SENT = datetime(2024, 5, 6, 12, 30, tzinfo=UTC)


def attachment(name: str) -> dict[str, bytes]:
    return {"__substg1.0_3707001F": name.encode("utf-16-le"), "__properties_version1.0": bytes(8)}


def test_headers_body_and_attachments() -> None:
    content = ole(message({**HEADERS, "1000": "Dear Bob,\r\nthe price is 5 €."}, [attachment("a.pdf")], SENT))
    found = read(content, "a.msg")
    assert found.text == (
        "From: Ann Lee <ann@x.example>\nTo: Bob\nCc: Cy\nDate: Mon, 06 May 2024 12:30:00 +0000\nSubject: Offer\n\n"
        "Dear Bob,\nthe price is 5 €."
    )
    assert found.metadata["attachments"] == ["a.pdf"]
    assert left_out(found) == ["1 attachment"]
    assert found.metadata["media_type"] == "application/vnd.ms-outlook"


def test_the_fuller_body_is_read() -> None:
    html = "<table><tr><td>Item<td>Price</table><p>Größe</p>".encode("cp1252")
    found = read(ole(message({"0037": "S", "1000": " "}, code_page=1252, p10130102=html)), "a.msg")
    assert found.text == "Subject: S\n\nItem | Price\nGröße"


def test_texts_in_a_code_page() -> None:
    content = ole(message(code_page=1251, p0037001E="Договор".encode("cp1251"), p1000001E="Текст".encode("cp1251")))
    assert read(content).text == "Subject: Договор\n\nТекст"


@pytest.mark.parametrize("packed", [True, False])
def test_a_body_that_is_rtf_alone(packed: bool) -> None:
    rtf = rb"{\rtf1\ansi The fee is 250 euros.}"
    if packed:  # without references: a flag byte of zeros before each eight bytes
        body = b"".join(b"\0" + rtf[start : start + 8] for start in range(0, len(rtf), 8))
        stream = bytes(8) + b"LZFu" + bytes(4) + body
    else:
        stream = bytes(8) + b"MELA" + bytes(4) + rtf
    assert read(ole(message({"0037": "S"}, p10090102=stream))).text == "Subject: S\n\nThe fee is 250 euros."


def test_references_into_what_was_unpacked() -> None:
    # From the specification: `{\rtf1\ansi\ansicpg1252\pard hello world}`, packed.
    packed = bytes.fromhex(
        "2d000000 2b000000 4c5a4675 f1c5c7a7 03000a00 72637067 31323542 320af320 68656c09 00206277 05b06c64 7d0a800f a0"
    )
    assert decompressed(packed) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"


def test_an_attached_message_is_read() -> None:
    inner = message({"0037": "Inner", "1000": "The inner text."}, [attachment("b.png")], inner=True)
    outer = {"__substg1.0_3701000D": inner, "__properties_version1.0": bytes(8)}
    found = read(ole(message({"0037": "Outer", "1000": "See below."}, [outer])), "a.msg")
    assert found.text == "Subject: Outer\n\nSee below.\n\nForwarded message\nSubject: Inner\n\nThe inner text."
    assert found.metadata["attachments"] == ["b.png"]


def test_a_body_of_many_sectors() -> None:
    text = "word " * 5000
    assert read(ole(message({"0037": "S", "1000": text}))).text == f"Subject: S\n\n{text.strip()}"


def test_a_damaged_file_is_refused() -> None:
    content = ole(message({"0037": "S", "1000": "word " * 5000}))
    assert why(content[:1500], "a.msg").startswith("is broken: it cannot be read as Outlook message")
