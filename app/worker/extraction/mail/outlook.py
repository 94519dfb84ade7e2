"""Reads a message that Outlook saved (.msg): an OLE file with a stream for each property."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from typing import Any

import olefile

from app.worker.extraction.encodings import decode_text, encoding_of
from app.worker.extraction.found import Found, TextLimit, broken, left_out, omitted
from app.worker.extraction.html.reader import own_charset, text_of_html
from app.worker.extraction.mail.body import word_count
from app.worker.extraction.mail.compressed_rtf import decompressed
from app.worker.extraction.text.rtf import read as read_rtf

SUBJECT, SENDER, SENDER_ADDRESS, SMTP_ADDRESS, TO, CC = "0037", "0C1A", "0C1F", "5D01", "0E04", "0E03"
BODY, HTML, RTF, NAME, LONG_NAME = "1000", "1013", "1009", "3704", "3707"
SENT = bytes.fromhex("40003900")  # in the table of properties with a fixed length
CODE_PAGE = bytes.fromhex("0300de3f")
MAX_ATTACHMENTS = 100
MAX_DEPTH = 10  # of messages in messages
MAX_PROPERTIES = 10_000


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read headers, body and the messages that are attached. Other attachments are named, not read."""
    try:
        with olefile.OleFileIO(BytesIO(content)) as file:
            message = _Message(file, [], limit)
            texts = message.texts()
    except (OSError, ValueError, IndexError, RecursionError) as error:
        raise broken("Outlook message", error) from error
    names = message.attachments[:MAX_ATTACHMENTS]
    missing = left_out(omitted(len(message.attachments), "attachment", names=names))
    return Found("\n\n".join(texts), {"title": message.string(SUBJECT) or None, "attachments": names, **missing})


class _Message:
    """One message of a file: that of the file itself, or an attached one."""

    def __init__(self, file: Any, folder: list[str], limit: TextLimit, depth: int = 0) -> None:
        self._file, self._folder, self._limit, self._depth = file, folder, limit, depth
        self._fixed = self._fixed_properties()
        page = int.from_bytes(self._fixed.get(CODE_PAGE, b"")[:4], "little")
        self._charset = encoding_of("utf-8" if page == 65001 else f"cp{page}") if page else None
        self.attachments: list[str] = []

    def texts(self) -> list[str]:
        """Return the headers, the body, and the texts of attached messages."""
        values = {
            "From": self._sender(), "To": self.string(TO), "Cc": self.string(CC), "Date": self._sent(),
            "Subject": self.string(SUBJECT),
        }  # fmt: skip
        headers = [f"{name}: {' '.join(value.split())}" for name, value in values.items() if value]
        texts = [self._limit.take("\n".join(headers)), self._body()]
        for folder in self._attached():
            inner = _Message(self._file, [*folder, "__substg1.0_3701000D"], self._limit, self._depth + 1)
            if self._depth < MAX_DEPTH and self._file.exists([*folder, "__substg1.0_3701000D"]):
                first, *others = inner.texts()
                texts += [f"Forwarded message\n{first}", *others]
                self.attachments += inner.attachments
            else:
                self.attachments.append(self._name_of(folder))
        return [text for text in texts if text.strip()]

    def string(self, tag: str, folder: list[str] | None = None) -> str:
        """Return a property that is a text; '' if there is none."""
        wide = self._stream(f"{tag}001F", folder)
        if wide is not None:
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        narrow = self._stream(f"{tag}001E", folder)
        return decode_text(narrow.rstrip(b"\0"), self._charset)[0] if narrow else ""

    def _body(self) -> str:
        plain = self._limit.take(self.string(BODY).replace("\r\n", "\n").strip())
        html = self._html()
        formatted = html if html else "" if plain else self._rich()
        return formatted if word_count(formatted) > word_count(plain) else plain

    def _html(self) -> str:
        content = self._stream(f"{HTML}0102") or self.string(HTML).encode()
        if not content:
            return ""
        raw, _ = decode_text(content, own_charset(content) or self._charset)
        return text_of_html(raw, self._limit, {}).text

    def _rich(self) -> str:
        packed = self._stream(f"{RTF}0102")
        return read_rtf(decompressed(packed), None, self._limit).text if packed else ""

    def _sender(self) -> str:
        name, address = self.string(SENDER), self.string(SMTP_ADDRESS) or self.string(SENDER_ADDRESS)
        return f"{name} <{address}>" if "@" in address and address != name else name or address

    def _sent(self) -> str:
        ticks = int.from_bytes(self._fixed.get(SENT, b""), "little")
        if not 0 < ticks < 2_650_467_744_000_000_000:  # the year 10000
            return ""
        return format_datetime(datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10))

    def _attached(self) -> list[list[str]]:
        depth = len(self._folder)
        found = {
            tuple(entry[: depth + 1])
            for entry in self._file.listdir(streams=True, storages=True)
            if len(entry) > depth and entry[:depth] == self._folder and entry[depth].startswith("__attach_version1.0_")
        }
        return [list(each) for each in sorted(found)]

    def _name_of(self, folder: list[str]) -> str:
        return self.string(LONG_NAME, folder) or self.string(NAME, folder) or "unnamed"

    def _stream(self, name: str, folder: list[str] | None = None) -> bytes | None:
        path = [*(self._folder if folder is None else folder), f"__substg1.0_{name}"]
        if not self._file.exists(path) or self._file.get_type(path) != olefile.STGTY_STREAM:
            return None
        content: bytes = self._file.openstream(path).read()
        return content

    def _fixed_properties(self) -> dict[bytes, bytes]:
        """Return the properties with a fixed length: their type and number, and eight bytes of each."""
        path = [*self._folder, "__properties_version1.0"]
        if not self._file.exists(path):
            return {}
        table = self._file.openstream(path).read()
        begin = 24 if self._folder else 32  # after a header that is shorter within a message
        places = range(begin, min(len(table) - 15, begin + 16 * MAX_PROPERTIES), 16)
        return {table[place : place + 4]: table[place + 8 : place + 16] for place in places}
