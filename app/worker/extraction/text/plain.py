"""Reads documents that are text already: plain text, Markdown, CSV."""

from app.worker.extraction.encodings import decode_text
from app.worker.extraction.found import Found, TextLimit
from app.worker.extraction.text import csv_table
from app.worker.extraction.text.markdown import text_of_markdown


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read plain text unchanged."""
    raw, encoding = decode_text(content, charset)
    return Found(limit.take(raw), {"encoding": encoding})


def read_markdown(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read Markdown without its markup."""
    raw, encoding = decode_text(content, charset)
    text, metadata = text_of_markdown(raw)
    return Found(limit.take(text), {"encoding": encoding, **metadata})


def read_table(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read CSV, with a line for each row."""
    raw, encoding = decode_text(content, charset)
    text, rows = csv_table.text_of_table(raw, limit)
    return Found(text, {"encoding": encoding, "rows": rows})
