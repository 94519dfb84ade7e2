"""Chooses the reader of a document. Small plain texts are read in this process, all other files in a child process."""

from app.worker.extraction.clean import without_controls
from app.worker.extraction.encodings import charset_of
from app.worker.extraction.found import NO_TEXT, NO_TEXT_BY_OCR, Found, TextLimit, Unreadable, omitted
from app.worker.extraction.kinds import BY_TYPE, MEDIA_TYPES, Kind, kind_of
from app.worker.extraction.limits import MIB, Limits
from app.worker.extraction.ocr.tesseract import INSTALL
from app.worker.extraction.reader_pool import pool_for
from app.worker.extraction.text import plain

# Read in this process, up to this many bytes. Markdown has a low limit: its parser is native code.
IN_THIS_PROCESS = {
    Kind.TEXT: (plain.read, MIB),
    Kind.TABLE: (plain.read_table, MIB),
    Kind.MARKDOWN: (plain.read_markdown, 16 * 1024),
}
READERS = {
    Kind.TEXT: "app.worker.extraction.text.plain:read",
    Kind.MARKDOWN: "app.worker.extraction.text.plain:read_markdown",
    Kind.TABLE: "app.worker.extraction.text.plain:read_table",
    Kind.HTML: "app.worker.extraction.html.reader:read",
    Kind.MAIL: "app.worker.extraction.mail.reader:read",
    Kind.PDF: "app.worker.extraction.pdf.reader:read",
    Kind.WORD: "app.worker.extraction.office.word.reader:read",
    Kind.EXCEL: "app.worker.extraction.office.excel.reader:read",
    Kind.OLD_EXCEL: "app.worker.extraction.office.old_sheets:read_old",
    Kind.BINARY_EXCEL: "app.worker.extraction.office.old_sheets:read_binary",
    Kind.POWERPOINT: "app.worker.extraction.office.powerpoint:read",
    Kind.WRITER: "app.worker.extraction.office.opendocument.reader:read",
    Kind.CALC: "app.worker.extraction.office.opendocument.reader:read",
    Kind.IMPRESS: "app.worker.extraction.office.opendocument.reader:read",
    Kind.RTF: "app.worker.extraction.text.rtf:read",
    Kind.EPUB: "app.worker.extraction.office.epub:read",
    Kind.OUTLOOK: "app.worker.extraction.mail.outlook:read",
    Kind.NOTEBOOK: "app.worker.extraction.text.notebook:read",
    Kind.SUBTITLES: "app.worker.extraction.text.subtitles:read",
    Kind.PICTURE: "app.worker.extraction.ocr.picture:read",
}
IMAGE_READERS = {
    Kind.PDF: "app.worker.extraction.images.reader:read_pdf",
    Kind.PICTURE: "app.worker.extraction.images.reader:read_picture",
}


def read_images(content: bytes, name: str, media_type: str, limits: Limits) -> list[str]:
    """Make a JPEG in base64 of each page of a PDF or a picture. Raises Unreadable, for other kinds too."""
    if len(content) > limits.bytes:
        raise Unreadable(f"is larger than {limits.bytes} bytes", too_large=True)
    kind = kind_of(content, media_type.partition(";")[0].strip().lower(), name)
    if kind not in IMAGE_READERS:
        raise Unreadable(f"is {kind}: only PDF and pictures are sent as pictures. Use a prompt with input: text")
    return pool_for(limits).read(IMAGE_READERS[kind], content, None).text.split("\n")


def read(content: bytes, name: str, media_type: str, limits: Limits) -> Found:
    """Read the text of a file whose declared media type is `media_type`, perhaps with parameters.

    `metadata` contains the media type that the file was read as, and `left_out`. Raises Unreadable.
    """
    if len(content) > limits.bytes:
        raise Unreadable(f"is larger than {limits.bytes} bytes", too_large=True)
    declared, _, parameters = media_type.partition(";")
    kind = kind_of(content, declared.strip().lower(), name)
    if kind is Kind.PICTURE and not limits.ocr_languages:
        raise Unreadable(f"is a picture. {INSTALL}", has_no_text=True)
    charset = charset_of(parameters)
    reader, max_bytes = IN_THIS_PROCESS.get(kind, (None, 0))
    if reader and len(content) <= max_bytes:
        found = reader(content, charset, TextLimit(limits.characters))
    else:
        found = pool_for(limits).read(READERS[kind], content, charset)
    text = without_controls(found.text)
    if not text.strip():
        raise Unreadable(_no_text(kind, limits), has_no_text=kind in IMAGE_READERS)
    metadata = {name: value for name, value in found.metadata.items() if value is not None}
    if missing := metadata.pop("left_out", []) + omitted(
        text.count("\ufffd"), "character that could not be decoded", "characters that could not be decoded"
    ):
        metadata["left_out"] = missing
    return Found(text, {"media_type": _media_type_of(kind, declared), **metadata})


def _no_text(kind: Kind, limits: Limits) -> str:
    if kind not in IMAGE_READERS:
        return NO_TEXT
    return NO_TEXT_BY_OCR if limits.ocr_languages else f"{NO_TEXT}. {INSTALL}"


def _media_type_of(kind: Kind, declared: str) -> str:
    """Return the declared media type if it belongs to the kind; else, the media type of the kind."""
    declared = declared.strip().lower()
    return declared if BY_TYPE.get(declared) is kind else MEDIA_TYPES[kind]
