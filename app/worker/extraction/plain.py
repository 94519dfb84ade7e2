"""Documents that are text as they stand, but for their encoding and their marks: plain text, Markdown, CSV."""

from app.worker.extraction import table
from app.worker.extraction.encodings import decoded
from app.worker.extraction.found import Extracted, TextLimit
from app.worker.markdown import text_of_markdown


def read(content: bytes, charset: str | None, limit: TextLimit) -> Extracted:
    """Read a text as it stands."""
    raw, encoding = decoded(content, charset)
    return Extracted(limit.take(raw), {"encoding": encoding})


def read_markdown(content: bytes, charset: str | None, limit: TextLimit) -> Extracted:
    """Read Markdown without its marks."""
    raw, encoding = decoded(content, charset)
    text, metadata = text_of_markdown(raw)
    return Extracted(limit.take(text), {"encoding": encoding, **metadata})


def read_table(content: bytes, charset: str | None, limit: TextLimit) -> Extracted:
    """Read CSV, a row a line."""
    raw, encoding = decoded(content, charset)
    text, rows = table.text_of_table(raw, limit)
    return Extracted(text, {"encoding": encoding, "rows": rows})
