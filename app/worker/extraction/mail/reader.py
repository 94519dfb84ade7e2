"""Reads an e-mail (.eml): its headers, and every text of its body. Attachments are listed, not read."""

import re
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

from app.worker.extraction.encodings import decode_text, wide_encoding
from app.worker.extraction.found import Found, TextLimit, Unreadable, broken, left_out, omitted
from app.worker.extraction.mail.body import Body
from app.worker.extraction.mail.headers import header_of, shown_headers

MAX_ATTACHMENTS = 100  # that are named
_FROM_LINE = re.compile(rb"\A\s*From [^\r\n]*\r?\n")  # before each message of a mailbox file


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read a message with the messages that it forwards."""
    # compat32 leaves headers as they are. The newer policies parse them, and fail on malformed addresses.
    message: Message = BytesParser(policy=compat32).parsebytes(_as_ascii(content))
    headers = shown_headers(message)
    if not headers:
        raise broken("e-mail", "it has no sender, date or subject")
    body = Body(limit)
    body.add(message)
    if body.encrypted and not body.texts:
        raise Unreadable("is encrypted: it opens only with the key of its receiver")
    text = "\n\n".join([limit.take("\n".join(headers)), *body.texts])
    names = body.attachments[:MAX_ATTACHMENTS]
    return Found(
        text,
        {
            "title": header_of(message, "Subject") or None,
            "attachments": names,
            **left_out(
                omitted(len(body.attachments), "attachment", names=names), omitted(body.encrypted, "encrypted part")
            ),
        },
    )


def _as_ascii(content: bytes) -> bytes:
    """Return a message without the byte order mark, UTF-16 or envelope line that some programs save it with."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")) or wide_encoding(content[:1024]):
        content = decode_text(content)[0].encode("utf-8", "replace")
    return _FROM_LINE.sub(b"", content).lstrip(b"\r\n")
