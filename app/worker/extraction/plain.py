"""Reads documents that are text already: plain text, Markdown, CSV."""

from app.worker.extraction import table
from app.worker.extraction.encodings import decode_text
from app.worker.extraction.extracted import Extracted, TextLimit
from app.worker.extraction.markdown import text_of_markdown


def read(content: bytes, charset: str | None, limit: TextLimit) -> Extracted:
    """Read plain text unchanged."""
    raw, encoding = decode_text(content, charset)
    return Extracted(limit.take(raw), {"encoding": encoding})


def read_markdown(content: bytes, charset: str | None, limit: TextLimit) -> Extracted:
    """Read Markdown without its markup."""
    raw, encoding = decode_text(content, charset)
    text, metadata = text_of_markdown(raw)
    return Extracted(limit.take(text), {"encoding": encoding, **metadata})


def read_table(content: bytes, charset: str | None, limit: TextLimit) -> Extracted:
    """Read CSV, with a line for each row."""
    raw, encoding = decode_text(content, charset)
    text, rows = table.text_of_table(raw, limit)
    return Extracted(text, {"encoding": encoding, "rows": rows})
