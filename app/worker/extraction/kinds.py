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
    OLD_EXCEL = "Excel (.xls)"
    BINARY_EXCEL = "Excel (.xlsb)"
    POWERPOINT = "PowerPoint"
    WRITER = "OpenDocument text"
    CALC = "OpenDocument spreadsheet"
    IMPRESS = "OpenDocument presentation"
    RTF = "RTF"
    EPUB = "EPUB"
    OUTLOOK = "Outlook message"
    NOTEBOOK = "notebook"
    SUBTITLES = "subtitles"
    PICTURE = "picture"


READABLE = (
    "plain text, Markdown, HTML, CSV, JSON, PDF, Word (.docx), Excel (.xlsx .xls .xlsb), PowerPoint (.pptx), "
    "OpenDocument (.odt .ods .odp), RTF, EPUB, e-mail (.eml .msg), notebooks (.ipynb), "
    "subtitles (.srt .vtt) and, with Tesseract, pictures (.png .jpg .tif)"
)
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
    "application/vnd.ms-excel.sheet.macroenabled.12": Kind.EXCEL, "application/vnd.ms-excel": Kind.OLD_EXCEL,
    "application/vnd.ms-excel.sheet.binary.macroenabled.12": Kind.BINARY_EXCEL,
    f"{_OPEN}.presentationml.presentation": Kind.POWERPOINT, f"{_OPEN}.presentationml.slideshow": Kind.POWERPOINT,
    f"{_OPEN}.presentationml.template": Kind.POWERPOINT,
    "application/vnd.ms-powerpoint.presentation.macroenabled.12": Kind.POWERPOINT,
    "application/vnd.oasis.opendocument.text": Kind.WRITER,
    "application/vnd.oasis.opendocument.text-template": Kind.WRITER,
    "application/vnd.oasis.opendocument.spreadsheet": Kind.CALC,
    "application/vnd.oasis.opendocument.spreadsheet-template": Kind.CALC,
    "application/vnd.oasis.opendocument.presentation": Kind.IMPRESS,
    "application/vnd.oasis.opendocument.presentation-template": Kind.IMPRESS,
    "application/rtf": Kind.RTF, "text/rtf": Kind.RTF, "application/epub+zip": Kind.EPUB,
    "application/vnd.ms-outlook": Kind.OUTLOOK, "application/x-ipynb+json": Kind.NOTEBOOK,
    "image/png": Kind.PICTURE, "image/jpeg": Kind.PICTURE, "image/tiff": Kind.PICTURE, "image/gif": Kind.PICTURE,
    "image/bmp": Kind.PICTURE, "image/webp": Kind.PICTURE,
    "application/x-subrip": Kind.SUBTITLES, "text/vtt": Kind.SUBTITLES,
}  # fmt: skip
BY_ENDING = {
    "txt": Kind.TEXT, "text": Kind.TEXT, "log": Kind.TEXT, "json": Kind.TEXT, "jsonl": Kind.TEXT,
    "md": Kind.MARKDOWN, "markdown": Kind.MARKDOWN, "csv": Kind.TABLE, "tsv": Kind.TABLE, "html": Kind.HTML,
    "htm": Kind.HTML, "xhtml": Kind.HTML, "eml": Kind.MAIL, "mht": Kind.MAIL, "mhtml": Kind.MAIL, "pdf": Kind.PDF,
    "docx": Kind.WORD, "docm": Kind.WORD, "dotx": Kind.WORD, "dotm": Kind.WORD, "xlsx": Kind.EXCEL,
    "xlsm": Kind.EXCEL, "xltx": Kind.EXCEL, "xltm": Kind.EXCEL, "xls": Kind.OLD_EXCEL, "xlt": Kind.OLD_EXCEL,
    "xlsb": Kind.BINARY_EXCEL, "pptx": Kind.POWERPOINT, "pptm": Kind.POWERPOINT, "ppsx": Kind.POWERPOINT,
    "potx": Kind.POWERPOINT, "odt": Kind.WRITER, "ott": Kind.WRITER, "ods": Kind.CALC, "ots": Kind.CALC,
    "odp": Kind.IMPRESS, "otp": Kind.IMPRESS, "rtf": Kind.RTF, "epub": Kind.EPUB, "msg": Kind.OUTLOOK,
    "png": Kind.PICTURE, "jpg": Kind.PICTURE, "jpeg": Kind.PICTURE, "tif": Kind.PICTURE, "tiff": Kind.PICTURE,
    "gif": Kind.PICTURE, "bmp": Kind.PICTURE, "webp": Kind.PICTURE, "ipynb": Kind.NOTEBOOK,
    "srt": Kind.SUBTITLES, "vtt": Kind.SUBTITLES,
}  # fmt: skip
MEDIA_TYPES = {kind: media_type for media_type, kind in reversed(BY_TYPE.items())}
TEXT_KINDS = {  # the other kinds are binary
    Kind.TEXT, Kind.MARKDOWN, Kind.TABLE, Kind.HTML, Kind.MAIL, Kind.NOTEBOOK, Kind.SUBTITLES,
}  # fmt: skip
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")
_UNSUPPORTED = {
    b"Rar!": "an archive", b"7z\xbc\xaf": "an archive", b"\x1f\x8b": "an archive", b"\x7fELF": "a program",
    b"MZ": "a program",
}  # fmt: skip
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Office before 2007, and encrypted files of later versions
_OFFICE_PARTS = {b"word/": Kind.WORD, b"xl/": Kind.EXCEL, b"ppt/": Kind.POWERPOINT}
# Names of streams in OLE files: a stream's name says what wrote the file. Files may contain files of other programs.
_OLE_STREAMS = {
    "__properties_version1.0": Kind.OUTLOOK, "WordDocument": "doc", "PowerPoint Document": "ppt",
    "Workbook": Kind.OLD_EXCEL, "Book": Kind.OLD_EXCEL,
}  # fmt: skip
_OLD = {"doc": ("Word", ".docx"), "ppt": ("PowerPoint", ".pptx")}
_MAIN_PART = re.compile(
    rb"Target\s*=\s*[\"']/?((?:word|xl|ppt)/)[^\"']{0,300}[\"'][^>]{0,500}/officeDocument[\"']"
    rb"|/officeDocument[\"'][^>]{0,500}Target\s*=\s*[\"']/?((?:word|xl|ppt)/)[^\"']{0,300}"
)
_MAIL = re.compile(
    rb"\A\s*(?:From [^\r\n]*\r?\n)?(?:[A-Za-z][A-Za-z0-9-]{0,60}:[ \t][^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*){3}"
)
_MAIL_SIGNS = re.compile(rb"^(?:From|Received|Message-ID|MIME-Version):", re.I | re.M)
_HTML = re.compile(rb"\A\s*(?>(?:<\?xml[^>]*>\s*|<!--(?:(?!-->).)*-->\s*)*)<(?:!doctype html|html)\b", re.I | re.S)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))


def kind_of(content: bytes, media_type: str, name: str) -> Kind:
    """Find the kind of a file: a binary file by its first bytes, a text by its declared media type or its name.

    Raises Unreadable if it is empty, encrypted, broken, or of an unsupported kind.
    """
    head = content[:1024]
    if not content.strip(b" \t\r\n\0\xef\xbb\xbf"):
        raise Unreadable(EMPTY)
    declared = declared_kind(media_type, name)
    if head.lstrip().startswith(b"%PDF-"):
        return Kind.PDF
    if b"%PDF-" in head and (declared is Kind.PDF or is_binary(content[:SAMPLE_BYTES])):
        return Kind.PDF  # other bytes may precede the mark, but a plain text may contain it
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(content)
    if head.startswith(_OLE):
        return _kind_of_ole(content, name.rpartition(".")[2].lower())
    if head.lstrip().startswith(b"{\\rtf"):
        return Kind.RTF
    if head.startswith(_PICTURES) or (head.startswith(b"RIFF") and head[8:12] == b"WEBP"):
        return Kind.PICTURE
    if declared is Kind.PICTURE and head.startswith(b"BM"):
        return Kind.PICTURE
    if is_binary(content[:SAMPLE_BYTES]):
        if declared not in TEXT_KINDS and declared is not None:
            raise broken(declared, "it does not begin like one")
        what = next((noun for mark, noun in _UNSUPPORTED.items() if head.startswith(mark)), "not text")
        raise Unreadable(f"is {what}, declared as {media_type or 'nothing'}. This worker reads {READABLE}")
    if declared in TEXT_KINDS and declared is not None and (declared is not Kind.NOTEBOOK or _is_object(head)):
        return declared
    found = _kind_by_content(content[:SAMPLE_BYTES])
    is_sheet = declared is Kind.OLD_EXCEL and found is Kind.TEXT and b"\t" in head
    return Kind.TABLE if is_sheet else found  # many programs give a table of text the ending .xls


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
            relations = _beginning(archive, "_rels/.rels") if "_rels/.rels" in names else b""
            stated = _beginning(archive, "mimetype").decode("latin-1").strip() if "mimetype" in names else ""
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, RuntimeError, EOFError) as error:
        raise broken("Office file", error) from error
    if (kind := BY_TYPE.get(stated)) and kind in (Kind.WRITER, Kind.CALC, Kind.IMPRESS, Kind.EPUB):
        return kind
    if "META-INF/container.xml" in names:
        return Kind.EPUB
    main = _MAIN_PART.search(relations)
    folder = (main[1] or main[2]) if main else b""
    if folder == b"xl/" and main and b".bin" in main[0]:
        return Kind.BINARY_EXCEL
    if kind := _OFFICE_PARTS.get(folder):
        return kind
    if "word/document.xml" in names:
        return Kind.WORD
    if "xl/workbook.xml" in names:
        return Kind.EXCEL
    raise Unreadable(
        "is an archive: unpack it, or put it into a folder of the workers, which open archives there, but none in "
        f"another one. This worker reads {READABLE}"
    )


def _is_object(head: bytes) -> bool:
    return head.lstrip(b" \t\r\n\xef\xbb\xbf").startswith(b"{")


def _beginning(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as part:
        return part.read(SAMPLE_BYTES)


def _kind_of_ole(content: bytes, ending: str) -> Kind:
    """Find out which program wrote an OLE file: Office before 2007, Outlook, or Office with a password."""
    found = [kind for stream, kind in _OLE_STREAMS.items() if stream.encode("utf-16-le") in content]
    if Kind.OUTLOOK in found:
        return Kind.OUTLOOK
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise Unreadable(ENCRYPTED)
    by_ending = BY_ENDING.get(ending)
    if not found and by_ending in (Kind.OLD_EXCEL, Kind.OUTLOOK):
        return by_ending  # it is damaged, and its reader says how
    if Kind.OLD_EXCEL in found and (by_ending is Kind.OLD_EXCEL or found[0] is Kind.OLD_EXCEL):
        return Kind.OLD_EXCEL
    program, new = _OLD.get(str(found[0]) if found else "", ("Office", "a newer format"))
    raise Unreadable(
        f"is in an old Office format, of {program} before 2007: save it as {new}, or convert it with LibreOffice"
    )


def _kind_by_content(head: bytes) -> Kind:
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")) or wide_encoding(head):
        head = decode_text(head)[0].encode("utf-8", "replace")
    if _HTML.match(head):
        return Kind.HTML
    if head.startswith(b"WEBVTT"):
        return Kind.SUBTITLES
    if _is_object(head) and b'"cells"' in head and b'"cell_type"' in head:
        return Kind.NOTEBOOK
    headers = re.split(rb"\r?\n\r?\n", head.lstrip(), maxsplit=1)[0] + b"\n"
    return Kind.MAIL if _MAIL.match(headers) and _MAIL_SIGNS.search(headers) else Kind.TEXT
