"""Which reader reads a document, and where: small plain texts here, all else in a child process."""

from typing import Any

from app.worker.extraction import plain
from app.worker.extraction.children import children_of
from app.worker.extraction.encodings import charset_of
from app.worker.extraction.found import NO_TEXT, Extracted, TextLimit, Unreadable
from app.worker.extraction.kinds import BY_TYPE, MEDIA_TYPES, Kind, kind_of
from app.worker.extraction.limits import MIB, Limits

# What is not worth another process, up to so many bytes: Markdown of brackets alone takes time by their square.
HERE = {
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
    """Read the text of a file, declared as `media_type` (with its parameters, perhaps). Raises Unreadable.

    `metadata` has the media type that it was read as.
    """
    if len(content) > limits.bytes:
        raise Unreadable(f"is larger than {limits.bytes} bytes", too_large=True)
    declared, _, parameters = media_type.partition(";")
    kind = kind_of(content, declared.strip().lower(), name)
    charset = charset_of(parameters)
    read, most_bytes = HERE.get(kind, (None, 0))
    if read and len(content) <= most_bytes:
        found = read(content, charset, TextLimit(limits.characters))
    else:
        found = children_of(limits).read(READERS[kind], content, charset)
    if not found.text.strip():
        raise Unreadable(NO_TEXT)
    return Extracted(found.text.replace("\0", ""), {"media_type": _shown(kind, declared), **_without_none(found)})


def _shown(kind: Kind, declared: str) -> str:
    """The declared media type where it is the one, as of JSON; that of the kind where it was wrong or unknown."""
    declared = declared.strip().lower()
    return declared if BY_TYPE.get(declared) is kind else MEDIA_TYPES[kind]


def _without_none(found: Extracted) -> dict[str, Any]:
    return {name: value for name, value in found.metadata.items() if value is not None}
