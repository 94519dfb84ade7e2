"""Chooses the reader of a document. Small plain texts are read in this process, all other files in a child process."""

from app.worker.extraction import plain
from app.worker.extraction.encodings import charset_of
from app.worker.extraction.extracted import NO_TEXT, Extracted, TextLimit, Unreadable
from app.worker.extraction.kinds import BY_TYPE, MEDIA_TYPES, Kind, kind_of
from app.worker.extraction.limits import MIB, Limits
from app.worker.extraction.reader_pool import pool_for

# Read in this process, up to this many bytes. Markdown has a low limit: parsing brackets takes quadratic time.
IN_THIS_PROCESS = {
    Kind.TEXT: (plain.read, MIB),
    Kind.TABLE: (plain.read_table, MIB),
    Kind.MARKDOWN: (plain.read_markdown, 16 * 1024),
}
READERS = {
    Kind.TEXT: "app.worker.extraction.plain:read",
    Kind.MARKDOWN: "app.worker.extraction.plain:read_markdown",
    Kind.TABLE: "app.worker.extraction.plain:read_table",
    Kind.HTML: "app.worker.extraction.html:read",
    Kind.MAIL: "app.worker.extraction.mail:read",
    Kind.PDF: "app.worker.extraction.pdf:read",
    Kind.WORD: "app.worker.extraction.word:read",
    Kind.EXCEL: "app.worker.extraction.excel:read",
}


def extract(content: bytes, media_type: str, name: str, limits: Limits) -> Extracted:
    """Read the text of a file whose declared media type is `media_type`, perhaps with parameters.

    `metadata` contains the media type that the file was read as. Raises Unreadable.
    """
    if len(content) > limits.bytes:
        raise Unreadable(f"is larger than {limits.bytes} bytes", too_large=True)
    declared, _, parameters = media_type.partition(";")
    kind = kind_of(content, declared.strip().lower(), name)
    charset = charset_of(parameters)
    read, max_bytes = IN_THIS_PROCESS.get(kind, (None, 0))
    if read and len(content) <= max_bytes:
        extracted = read(content, charset, TextLimit(limits.characters))
    else:
        extracted = pool_for(limits).read(READERS[kind], content, charset)
    if not extracted.text.strip():
        raise Unreadable(NO_TEXT)
    metadata = {name: value for name, value in extracted.metadata.items() if value is not None}
    return Extracted(extracted.text.replace("\0", ""), {"media_type": _media_type_of(kind, declared), **metadata})


def _media_type_of(kind: Kind, declared: str) -> str:
    """Return the declared media type if it belongs to the kind; else, the media type of the kind."""
    declared = declared.strip().lower()
    return declared if BY_TYPE.get(declared) is kind else MEDIA_TYPES[kind]
