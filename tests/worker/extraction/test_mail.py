"""E-mail: every text part that is not an attachment, in any form that programs save it in."""

from email.message import EmailMessage
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

from app.worker.extraction import Unreadable
from tests.support.documents import WORDS
from tests.worker.extraction.reading import left_out, read


def message(*parts: MIMEBase, subtype: str = "mixed", **headers: str) -> MIMEMultipart:
    made = MIMEMultipart(subtype, _subparts=parts)
    for name, value in {"From": "a@x.example", "Subject": "S", **headers}.items():
        made[name] = value
    return made


def attached(part: MIMEBase, name: str) -> MIMEBase:
    part.add_header("Content-Disposition", "attachment", filename=name)
    return part


def body_of(made: MIMEBase) -> str:
    return read(made.as_bytes(), "a.eml").text.partition("\n\n")[2]


def test_parts_are_read_in_their_order_and_attachments_named() -> None:
    made = message(
        MIMEText("one"),
        attached(MIMEText("no", "csv"), "ä.csv"),
        MIMEText("<p>two</p>", "html"),
        MIMEText("a,b", "csv"),
    )
    found = read(made.as_bytes(), "a.eml")
    assert found.text.partition("\n\n")[2] == "one\n\ntwo\n\na,b"
    assert found.metadata["attachments"] == ["ä.csv"]
    assert found.metadata["left_out"] == [{"what": "1 attachment", "names": ["ä.csv"]}]


@pytest.mark.parametrize(
    ("plain", "html", "read_form"),
    [
        ("the same words", "<p>the same words</p>", "the same words"),
        (" ", "<p>the text</p>", "the text"),
        ("See the HTML.", "<p>A whole letter with many words</p>", "A whole letter with many words"),
        (
            "see https://x.example/a?b=c now",
            "<p>see <a href='https://x.example/a?b=c'>this</a> now</p>",
            "see this now",
        ),
        ("more words than in the other", "<p>fewer</p>", "more words than in the other"),
    ],
)
def test_the_fuller_of_two_forms_is_read(plain: str, html: str, read_form: str) -> None:
    forms = message(MIMEText(plain), message(MIMEText(html, "html"), subtype="related"), subtype="alternative")
    assert body_of(forms) == read_form


def test_a_forwarded_message_is_read_with_its_attachments() -> None:
    inner = EmailMessage()
    inner["Subject"], inner["From"] = "Inner", "c@x.example"
    inner.set_content("The inner text.")
    inner.add_attachment(b"x", maintype="image", subtype="png", filename="a.png")
    outer = EmailMessage()
    outer["Subject"], outer["From"] = "Outer", "a@x.example"
    outer.set_content("See below.")
    outer.add_attachment(inner)
    found = read(outer.as_bytes(), "a.eml")
    text = "See below.\n\nForwarded message\nFrom: c@x.example\nSubject: Inner\n\nThe inner text."
    assert found.text.partition("\n\n")[2] == text
    assert found.metadata["attachments"] == ["a.png"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Subject: =?iso-8859-1?q?Gr=FC=DFe_=9310=94?=", "Subject: Grüße “10”"),
        ("Subject: =?utf-8?b?w7bDtg==?= =?utf-8?b?w7w=?=", "Subject: ööü"),
        ("Subject: =?klingon?q?x?=", "Subject: x"),
        ("Subject: Grüße", "Subject: Grüße"),
        ('From: <<a@@x>,\n  "Müller, H." <b@x', 'From: <<a@@x>, "Müller, H." <b@x'),
        ("Date: the first of May", "Date: the first of May"),
        ("To: =?utf-8?q?broken", "To: =?utf-8?q?broken"),
    ],
)
def test_headers_are_decoded_and_bad_ones_shown_raw(raw: str, shown: str) -> None:
    assert shown in read(f"{raw}\nFrom: x\nDate: d\nMIME-Version: 1.0\n\nBody".encode(), "a.eml").text.split("\n")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-8"])
@pytest.mark.parametrize("before", ["", "From a@x Tue Oct 1\n", "\r\n"])
def test_forms_in_which_programs_save_a_message(encoding: str, before: str) -> None:
    raw = f"{before}From: a@x\nSubject: Ä\nDate: d\nMIME-Version: 1.0\n\nBödy\n"
    for name in ("a.eml", "a"):
        found = read(raw.encode(encoding), name)
        assert found.text == "From: a@x\nDate: d\nSubject: Ä\n\nBödy"
        assert found.metadata["media_type"] == "message/rfc822"


def test_signed_messages_and_reports_of_delivery() -> None:
    signature = MIMEBase("application", "pgp-signature")
    signed = message(MIMEText("signed"), signature, subtype="signed")
    assert read(signed.as_bytes()).metadata["attachments"] == []
    report = (
        b"From: a\nSubject: Returned\nMIME-Version: 1.0\nContent-Type: multipart/report; boundary=B\n\n"
        b"--B\n\nNot delivered.\n--B\nContent-Type: message/delivery-status\n\nAction: failed\nStatus: 5.1.1\n--B--\n"
    )
    assert "Not delivered." in read(report, "a.eml").text
    assert "Status: 5.1.1" in read(report, "a.eml").text


def test_recall_of_the_words_in_text_parts() -> None:
    said = [f"{word}{number}" for number in range(40) for word in WORDS]
    parts = [said[start::4] for start in range(4)]
    made = message(
        MIMEText(" ".join(parts[0])),
        message(
            MIMEText("x"), MIMEText(f"<table><tr><td>{'<td>'.join(parts[1])}</table>", "html"), subtype="alternative"
        ),
        attached(MIMEBase("application", "pdf"), "a.pdf"),
        MIMEText(" ".join(parts[2]), _charset="utf-8"),
        message(MIMEText(f"<p>{'</p><p>'.join(parts[3])}</p>", "html", "iso-8859-15"), subtype="related"),
    )
    words = set(read(made.as_bytes(), "a.eml").text.split())
    assert sum(word in words for word in said) >= 0.98 * len(said)
    assert left_out(read(made.as_bytes())) == ["1 attachment"]


def test_the_calendar_of_an_invitation_is_read_after_its_text() -> None:
    calendar = "BEGIN:VEVENT\nSUMMARY:A meeting with a long name\nLOCATION:Room 5 in the house next door\nEND:VEVENT"
    forms = [MIMEText("You are invited."), MIMEText("<p>You are <b>invited</b>.</p>", "html")]
    invitation = message(*forms, MIMEText(calendar, "calendar"), subtype="alternative")
    assert body_of(invitation) == f"You are invited.\n\n{calendar}"


def test_a_form_for_gmail_is_read_as_html() -> None:
    page = "<!doctype html><html amp4email><body><p>One two three</p></body></html>"
    assert body_of(message(MIMEText("one two"), MIMEText(page, "x-amp-html"), subtype="alternative")) == "One two three"


def test_a_body_of_parts_without_a_border_between_them_is_read() -> None:
    raw = b"From: a@x.example\nSubject: S\nContent-Type: multipart/mixed\n\nThe whole body.\n"
    assert read(raw, "a.eml").text.partition("\n\n")[2] == "The whole body."


def sealed(kind: str) -> MIMEBase:
    part = MIMEBase("application", "pkcs7-mime", smime_type=kind, name="smime.p7m")
    part.set_payload("MIIB")
    return part


def test_an_encrypted_message_is_refused_and_an_encrypted_part_counted() -> None:
    whole = message(MIMEText("Version: 1", "pgp-encrypted"), subtype="encrypted")
    alone = sealed("enveloped-data")
    alone["From"], alone["Subject"] = "a@x.example", "S"
    for refused in (whole, alone, message(whole)):
        with pytest.raises(Unreadable, match="is encrypted: it opens only with the key of its receiver"):
            read(refused.as_bytes(), "a.eml")
    found = read(message(MIMEText("Before it."), sealed("enveloped-data")).as_bytes(), "a.eml")
    assert (found.text.partition("\n\n")[2], left_out(found)) == ("Before it.", ["1 encrypted part"])
    signed = read(message(MIMEText("Before it."), sealed("signed-data")).as_bytes(), "a.eml")
    assert left_out(signed) == ["1 attachment"]
