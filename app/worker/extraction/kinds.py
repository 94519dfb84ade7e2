"""Finds the kind of a document: from its first bytes, then its declared media type, then the ending of its name.

Declared media types are often wrong. The first bytes of a file are not.
"""

import re
import zipfile
from enum import StrEnum
from io import BytesIO

from app.worker.extraction.encodings import SAMPLE_BYTES, decode_text, wide_encoding
from app.worker.extraction.found import EMPTY, ENCRYPTED, Unreadable, broken


class Kind(StrEnum):
    TEXT = "text"
    MARKDOWN = "Markdown"
    TABLE = "CSV"
    HTML = "HTML"
    MAIL = "e-mail"
    PDF = "PDF"
    WORD = "Word"
    EXCEL = "Excel"


READABLE = "plain text, Markdown, HTML, CSV, JSON, PDF, Word (.docx), Excel (.xlsx) and e-mail (.eml)"
_OPEN = "application/vnd.openxmlformats-officedocument"
BY_TYPE = {
    "text/plain": Kind.TEXT, "application/json": Kind.TEXT, "application/jsonl": Kind.TEXT,
    "application/x-ndjson": Kind.TEXT, "text/markdown": Kind.MARKDOWN, "text/x-markdown": Kind.MARKDOWN,
    "text/csv": Kind.TABLE, "application/csv": Kind.TABLE, "text/tab-separated-values": Kind.TABLE,
    "text/html": Kind.HTML, "application/xhtml+xml": Kind.HTML, "message/rfc822": Kind.MAIL,
    "application/pdf": Kind.PDF, "application/x-pdf": Kind.PDF,
    f"{_OPEN}.wordprocessingml.document": Kind.WORD, f"{_OPEN}.wordprocessingml.template": Kind.WORD,
    "application/vnd.ms-word.document.macroenabled.12": Kind.WORD,
    f"{_OPEN}.spreadsheetml.sheet": Kind.EXCEL, f"{_OPEN}.spreadsheetml.template": Kind.EXCEL,
    "application/vnd.ms-excel.sheet.macroenabled.12": Kind.EXCEL,
}  # fmt: skip
BY_ENDING = {
    "txt": Kind.TEXT, "text": Kind.TEXT, "log": Kind.TEXT, "json": Kind.TEXT, "jsonl": Kind.TEXT,
    "md": Kind.MARKDOWN, "markdown": Kind.MARKDOWN, "csv": Kind.TABLE, "tsv": Kind.TABLE, "html": Kind.HTML,
    "htm": Kind.HTML, "xhtml": Kind.HTML, "eml": Kind.MAIL, "mht": Kind.MAIL, "mhtml": Kind.MAIL, "pdf": Kind.PDF,
    "docx": Kind.WORD, "docm": Kind.WORD, "dotx": Kind.WORD, "dotm": Kind.WORD, "xlsx": Kind.EXCEL,
    "xlsm": Kind.EXCEL, "xltx": Kind.EXCEL, "xltm": Kind.EXCEL,
}  # fmt: skip
MEDIA_TYPES = {kind: media_type for media_type, kind in reversed(BY_TYPE.items())}
TEXT_KINDS = {Kind.TEXT, Kind.MARKDOWN, Kind.TABLE, Kind.HTML, Kind.MAIL}  # the other kinds are binary
_UNSUPPORTED = {
    b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"GIF8": "a picture", b"II*\0": "a picture",
    b"MM\0*": "a picture", b"Rar!": "an archive", b"7z\xbc\xaf": "an archive", b"\x1f\x8b": "an archive",
    b"\x7fELF": "a program", b"MZ": "a program",
}  # fmt: skip
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Office before 2007, and encrypted files of later versions
_OFFICE_PARTS = {b"word/": Kind.WORD, b"xl/": Kind.EXCEL}
_MAIN_PART = re.compile(
    rb"Target\s*=\s*[\"']/?((?:word|xl|ppt)/)[^\"']*[\"'][^>]*/officeDocument[\"']|"
    rb"/officeDocument[\"'][^>]*Target\s*=\s*[\"']/?((?:word|xl|ppt)/)"
)
_MAIL = re.compile(
    rb"\A\s*(?:From [^\r\n]*\r?\n)?(?:[A-Za-z][A-Za-z0-9-]{0,60}:[ \t][^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*){3}"
)
_MAIL_SIGNS = re.compile(rb"^(?:From|Received|Message-ID|MIME-Version):", re.I | re.M)
_HTML = re.compile(rb"\A\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype html|html)\b", re.I | re.S)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))


def kind_of(content: bytes, media_type: str, name: str) -> Kind:
    """Find the kind of a file: a binary file by its first bytes, a text by its declared media type or its name.

    Raises Unreadable if it is empty, encrypted, broken, or of an unsupported kind.
    """
    head = content[:1024]
    if not content.strip(b" \t\r\n\0\xef\xbb\xbf"):
        raise Unreadable(EMPTY)
    if head.lstrip().startswith(b"%PDF-") or (b"%PDF-" in head and is_binary(content[:SAMPLE_BYTES])):
        return Kind.PDF  # other bytes may precede the mark, but a plain text may contain it
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(content)
    if head.startswith(_OLE):
        encrypted = "EncryptedPackage".encode("utf-16-le") in content
        raise Unreadable(ENCRYPTED if encrypted else f"is in an old Office format. This worker reads {READABLE}")
    declared = declared_kind(media_type, name)
    if is_binary(content[:SAMPLE_BYTES]):
        if declared not in TEXT_KINDS and declared is not None:
            raise broken(declared, "it does not begin like one")
        what = next((noun for mark, noun in _UNSUPPORTED.items() if head.startswith(mark)), "not text")
        raise Unreadable(f"is {what}, declared as {media_type or 'nothing'}. This worker reads {READABLE}")
    return declared if declared in TEXT_KINDS and declared is not None else _kind_by_content(head)


def declared_kind(media_type: str, name: str) -> Kind | None:
    """Find the kind from the media type, or else from the ending of the name."""
    return BY_TYPE.get(media_type) or BY_ENDING.get(name.rpartition(".")[2].lower())


def is_binary(sample: bytes) -> bool:
    """Whether it is not text: it contains NUL (except in UTF-16 and UTF-32) or many control characters."""
    if sample.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")) or wide_encoding(sample):
        return False
    return b"\0" in sample or len(sample) - len(sample.translate(None, _CONTROLS)) > len(sample) * 0.02


def _kind_of_zip(content: bytes) -> Kind:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            names = set(archive.namelist()[:10_000])
            relations = archive.read("_rels/.rels")[:SAMPLE_BYTES] if "_rels/.rels" in names else b""
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, RuntimeError, EOFError) as error:
        raise broken("Office file", error) from error
    main = _MAIN_PART.search(relations)
    folder = (main[1] or main[2]) if main else b""
    if kind := _OFFICE_PARTS.get(folder):
        return kind
    if "word/document.xml" in names:
        return Kind.WORD
    if "xl/workbook.xml" in names:
        return Kind.EXCEL
    raise Unreadable(f"is an archive. This worker reads {READABLE}")


def _kind_by_content(head: bytes) -> Kind:
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")) or wide_encoding(head):
        head = decode_text(head)[0].encode("utf-8", "replace")
    if _HTML.match(head):
        return Kind.HTML
    return Kind.MAIL if _MAIL.match(head) and _MAIL_SIGNS.search(head) else Kind.TEXT
