"""Reads the headers of an e-mail. A header that breaks the rules is shown as it stands."""

from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

from app.worker.extraction.encodings import decode_text, encoding_of

SHOWN = ("From", "To", "Cc", "Date", "Subject")


def shown_headers(message: Message) -> list[str]:
    """Return the headers that belong to the text, as `Name: value`."""
    values = {name: header_of(message, name) for name in SHOWN}
    return [f"{name}: {value}" for name, value in values.items() if value]


def header_of(message: Message, name: str) -> str:
    """Return the value of a header on one line; '' if there is none."""
    raw = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
    return decoded(str(raw))


def decoded(raw: str) -> str:
    """Decode a value such as `=?utf-8?q?Gr=C3=BC=C3=9Fe?=`."""
    raw = " ".join(raw.split())
    try:
        parts = decode_header(raw)
    except (HeaderParseError, ValueError):
        parts = [(raw, None)]
    return " ".join("".join(_text_of(part, charset) for part, charset in parts).split())


def _text_of(part: bytes | str, charset: str | None) -> str:
    """Decode a part. The parser keeps bytes beyond ASCII as surrogates; decode_header writes characters as escapes."""
    if isinstance(part, str):
        return decode_text(part.encode("utf-8", "surrogateescape"))[0]
    if charset is None:
        return decode_text(part.decode("raw-unicode-escape").encode("utf-8", "surrogateescape"))[0]
    return decode_text(part, encoding_of(charset))[0]
