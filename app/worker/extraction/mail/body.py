"""Collects the texts of an e-mail in their order: of every part that is text and not an attachment."""

import re
from email.message import Message

from app.worker.extraction.encodings import decode_text, encoding_of
from app.worker.extraction.found import TextLimit
from app.worker.extraction.html.reader import own_charset, text_of_html
from app.worker.extraction.mail.headers import decoded, shown_headers

HEADER_LISTS = {"message/delivery-status", "message/disposition-notification"}  # parsed as messages without bodies
TEXTS = {"text", "message", "multipart"}  # a multipart without a boundary is a text
HTML = {"text/html", "text/x-amp-html", "text/watch-html"}
SEALED = {"application/pkcs7-mime", "application/x-pkcs7-mime"}  # encrypted, or else signed in one piece
_ADDRESS = re.compile(r"<?https?://\S+|\[cid:\S+|\[image:[^\]]*\]")


def word_count(text: str) -> int:
    """Count the words of a form of a message; addresses do not count, since only the plain form spells them out."""
    return len(_ADDRESS.sub("", text).split())


class Body:
    """Walks through the parts of a message: `texts` are read, `attachments` are the names of the others.

    `encrypted` is the number of parts that open only with the key of a receiver.
    """

    def __init__(self, limit: TextLimit) -> None:
        self._limit = limit
        self.texts: list[str] = []
        self.attachments: list[str] = []
        self.encrypted = 0

    def add(self, part: Message) -> None:
        """Add a part and everything in it."""
        kind = part.get_content_type()
        if kind == "message/rfc822" and part.is_multipart():
            self._add_forwarded(part)
        elif kind == "multipart/alternative":
            self._add_fuller(part)
        elif kind == "multipart/encrypted" or (kind in SEALED and part.get_param("smime-type") != "signed-data"):
            self.encrypted += 1
        elif kind in HEADER_LISTS:
            self._add_text(self._text_of(part))
        elif part.is_multipart():
            for inner in _parts(part):
                self.add(inner)
        elif part.get_content_maintype() in TEXTS and part.get_content_disposition() != "attachment":
            self._add_text(self._text_of(part))
        elif kind != "application/pgp-signature" and not kind.endswith("pkcs7-signature"):
            self.attachments.append(_name_of(part))

    def _add_forwarded(self, part: Message) -> None:
        for message in _parts(part):
            self._add_text(self._limit.take("\n".join(["Forwarded message", *shown_headers(message)])))
            self.add(message)

    def _add_fuller(self, part: Message) -> None:
        """Of several forms of a text, add the one with the most words; of equal ones the plain form.

        The calendar of an invitation is no form of its text, and is added too.
        """
        forms: list[Body] = []
        calendars: list[Body] = []
        for inner in _parts(part):
            form = Body(self._limit)
            form.add(inner)
            (calendars if inner.get_content_type() == "text/calendar" else forms).append(form)
        best = max(forms, key=lambda form: word_count(" ".join(form.texts)), default=None)
        for form in [*([best] if best else []), *calendars]:
            self.texts += form.texts
            self.attachments += form.attachments
            self.encrypted += form.encrypted

    def _add_text(self, text: str) -> None:
        if text.strip():
            self.texts.append(text)

    def _text_of(self, part: Message) -> str:
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        if part.is_multipart():  # message/delivery-status is a list of headers
            content = b"\n\n".join(bytes(inner) for inner in _parts(part))
        charset = encoding_of(part.get_content_charset() or "")
        if part.get_content_type() in HTML:
            raw, _ = decode_text(content, charset or own_charset(content))
            return text_of_html(raw, self._limit, {}).text
        raw, _ = decode_text(content, charset)
        return self._limit.take(raw.replace("\r\n", "\n").strip())


def _parts(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, Message)] if isinstance(payload, list) else []


def _name_of(part: Message) -> str:
    return decoded(part.get_filename() or "") or part.get_content_type()
