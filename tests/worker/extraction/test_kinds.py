"""Real files of every kind are read, whatever their declared media type. An unreadable file has a reason."""

from email.message import EmailMessage
from pathlib import Path

import pytest

from app.worker.extraction import Found, Limits, Unreadable
from app.worker.extraction import read as read_file
from app.worker.extraction.kinds import BY_TYPE
from tests.support import documents
from tests.support.documents import DOCX, KINDS, WORDS, XLSX, write_documents
from tests.worker.extraction.hostile import pack, repacked

SAID = [*WORDS[:12], "Größe"]
LIMITS = Limits()


def read(content: bytes, media_type: str = "", name: str = "a", limits: Limits = LIMITS) -> Found:
    return read_file(content, name, media_type, limits)


def why(content: bytes, media_type: str = "", name: str = "a", limits: Limits = LIMITS) -> str:
    with pytest.raises(Unreadable) as caught:
        read(content, media_type, name, limits)
    return caught.value.why


@pytest.mark.parametrize(("ending", "media_type", "write"), KINDS, ids=range(len(KINDS)))
def test_every_kind_is_read(ending: str, media_type: str, write: documents.Callable[[list[str]], bytes]) -> None:
    content = write(SAID)
    found = read(content, media_type, f"a.{ending}")
    assert all(word in found.text for word in SAID)
    assert found.metadata["media_type"] == media_type
    assert read(content, "application/octet-stream", f"A.{ending.upper()}").text == found.text


@pytest.fixture(scope="module")
def some_kinds() -> list[bytes]:
    return [write(SAID) for write in (documents.pdf, documents.word, documents.excel, documents.text)]


@pytest.mark.parametrize("wrong", sorted(set(BY_TYPE) - {"message/rfc822"}))
def test_a_wrong_declared_type_does_not_break_it(wrong: str, some_kinds: list[bytes]) -> None:
    for content in some_kinds:
        assert all(word in read(content, wrong, "a.html").text for word in SAID)


def test_a_text_about_pdf_is_a_text_and_a_pdf_with_something_before_it_a_pdf() -> None:
    assert read(b"A PDF begins with %PDF-1.7.", "text/plain").metadata["media_type"] == "text/plain"
    assert read(b"\0\0\0\1 junk\n" + documents.pdf(SAID), "text/plain").metadata["media_type"] == "application/pdf"
    plain_bytes = b"HTTP/1.1 200 OK\r\n\r\n" + documents.pdf(SAID, pageCompression=0)
    assert all(word in read(plain_bytes, "application/pdf").text for word in SAID)
    assert all(word in read(plain_bytes, "", "a.pdf").text for word in SAID)


def test_many_files_as_an_operator_has_them(tmp_path: Path) -> None:
    written = write_documents(tmp_path, 60, seed=3)
    assert sum(not each.readable for each in written) == 6
    for each in written:
        if each.readable:
            text = read(each.path.read_bytes(), each.media_type, each.name).text
            assert [word for word in each.words if word not in text] == []
        else:
            assert why(each.path.read_bytes(), each.media_type, each.name)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \r\n\t\n", "is empty"),
        (documents.encrypted_pdf(SAID), "is encrypted"),
        (documents.encrypted_word(SAID), "is encrypted"),
        (documents.pdf([]), "holds no text"),
        (b"%PDF-1.7\nnothing", "is broken: it cannot be read as PDF"),
        (documents.word(SAID)[:3000], "is broken: it cannot be read as Office file"),
        (repacked(documents.word(SAID), word__document_xml=b"<w:document"), "is broken: it cannot be read as Word"),
        (repacked(documents.excel(SAID), xl__workbook_xml=b"<not-xml"), "is broken: it cannot be read as Excel"),
        (pack(notes_txt=b"hello"), "is an archive"),
        (documents.picture(SAID), "is a picture"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is in an old Office format"),
        (b"\x7fELF\x02\x00\x00", "is a program"),
        (bytes(range(256)) * 9, "is not text"),
    ],
    ids=range(14),
)
def test_what_cannot_be_read_says_why(content: bytes, reason: str) -> None:
    assert why(content, "text/plain").startswith(reason)


def test_a_binary_file_that_was_declared_a_pdf_is_broken() -> None:
    assert why(bytes(range(256)), "application/pdf").startswith("is broken: it cannot be read as PDF")


def test_a_pdf_that_opens_without_a_password_is_read_whatever_its_owner_forbids() -> None:
    from reportlab.lib.pdfencrypt import StandardEncryption

    locked = StandardEncryption("", ownerPassword="owner", canPrint=0, canCopy=0)
    assert "agreement" in read(documents.pdf(["agreement"], encrypt=locked)).text


def test_a_word_document_keeps_the_order_of_paragraphs_and_tables() -> None:
    found = read(documents.word(["Title", "cell", "one", "two"]), DOCX)
    assert found.text == "Title\n\none two\n\n | cell"


def test_sheets_are_separated_and_empty_ones_left_out() -> None:
    found = read(documents.excel(["a", "b"]), XLSX)
    assert found.text == "Sheet\na | b"
    assert found.metadata["sheets"] == ["Sheet", "empty"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_is_read_whatever_stands_between_its_cells(delimiter: str) -> None:
    raw = f'a{delimiter}"b{delimiter}""c""\nd"\n\n1{delimiter}\n'.encode()
    assert read(raw, "text/csv").text.split("\n") == ["a | " + " ".join(f'b{delimiter}"c" d'.split()), "1"]


def test_html_is_what_a_reader_sees() -> None:
    page = b"<!-- x --><html><head><title> T\n t </title><script>no</script></head>"
    page += b"<body><h1>One</h1>two<br>three <b>f</b>our"
    page += b"<table><tr><td>1</td><th>2</th></tr></table><style>no</style><!-- no --> end &amp; <p>p</body>"
    found = read(page, "text/html")
    assert found.text == "One\ntwo\nthree four\n1 | 2\nend &\np"
    assert found.metadata["title"] == "T t"


def test_html_may_say_its_own_encoding() -> None:
    assert read('<meta charset="koi8-r"><p>Договор'.encode("koi8-r"), "text/html").text == "Договор"
    assert read("<p>Größe".encode(), "text/html").text == "Größe"


def test_a_mail_in_html_alone_and_with_attachments() -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = "Grüße", "a@x.example"
    message.set_content("<p>Hello <b>you</b></p>", subtype="html")
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="a.pdf")
    found = read(message.as_bytes(), "message/rfc822")
    assert found.text == "From: a@x.example\nSubject: Grüße\n\nHello you"
    assert found.metadata["attachments"] == ["a.pdf"]
    assert read(message.as_bytes(), "application/octet-stream").text == found.text
    assert (
        read(b"From: a\nTo: b\n\nhello").metadata["media_type"] == "text/plain"
    )  # two such lines are not enough for an e-mail


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Настоящий договор вступает в силу с момента подписания.", "cp1251"),
        ("Настоящий договор вступает в силу с момента подписания.", "koi8-r"),
        ("この契約は署名の日から効力を生じます。", "shift_jis"),
        ("本合同自签字之日起生效。付款应在三十天内完成。", "gb18030"),
        ("Η παρούσα σύμβαση τίθεται σε ισχύ από την ημερομηνία υπογραφής.", "cp1253"),
        ("Größe ändern für Käufer, Überblick über Öffnungszeiten, müßige Sätze – 5 €", "cp1252"),
        ("Grüße", "utf-16-le"),
        ("Grüße", "utf-16-be"),
    ],
)
def test_text_of_any_encoding_is_read(text: str, encoding: str) -> None:
    assert read(text.encode(encoding), "text/plain").text == text


def test_too_much_text_and_too_large_a_file_say_so() -> None:
    few = Limits(characters=10, bytes=1_000_000)
    for content in (b"a" * 11, documents.pdf(SAID), documents.word(SAID), documents.excel(SAID), documents.html(SAID)):
        with pytest.raises(Unreadable, match="holds more than 10 characters") as caught:
            read(content, limits=few)
        assert caught.value.too_large
    with pytest.raises(Unreadable, match="is larger than 9 bytes") as caught:
        read(b"a" * 10, limits=Limits(bytes=9))
    assert caught.value.too_large


def test_a_large_text_is_read_as_a_small_one_is() -> None:
    found = read(b"a line\n" * 300_000, "text/plain")
    assert len(found.text) == 2_100_000
