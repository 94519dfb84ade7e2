"""Reads an e-mail (.eml): its sender, recipients, date, subject and body. Attachments are listed, not read."""

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

from app.worker.extraction.encodings import decode_text, encoding_of
from app.worker.extraction.extracted import Extracted, TextLimit, broken
from app.worker.extraction.html import text_of_html

HEADERS = ("From", "To", "Cc", "Date", "Subject")
MAX_ATTACHMENTS = 100


def read(content: bytes, charset: str | None, limit: TextLimit) -> Extracted:
    """Read a message. If its body has a plain form, that is read; else, the text of its HTML."""
    message = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(content)
    headers = [f"{name}: {' '.join(str(message[name]).split())}" for name in HEADERS if message[name]]
    if not headers:
        raise broken("e-mail", "it has no sender, date or subject")
    attachments = [part.get_filename() or part.get_content_type() for part in message.iter_attachments()]
    body = _body(message, limit)
    text = limit.take("\n".join(headers)) + (f"\n\n{body}" if body else "")
    subject = message["Subject"]
    return Extracted(text, {"title": str(subject) if subject else None, "attachments": attachments[:MAX_ATTACHMENTS]})


def _body(message: EmailMessage, limit: TextLimit) -> str:
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    payload = part.get_payload(decode=True)
    raw, _ = decode_text(
        payload if isinstance(payload, bytes) else b"", encoding_of(part.get_content_charset() or "utf-8")
    )
    if part.get_content_type() == "text/html":
        return text_of_html(raw, limit, {})[0]
    return limit.take(raw.replace("\r\n", "\n").strip())
