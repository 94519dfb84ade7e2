"""Reads a Jupyter notebook (.ipynb): its texts, its code and the output that is text."""

import json
from typing import Any

from app.worker.extraction.encodings import decode_text
from app.worker.extraction.found import Found, TextLimit, broken, left_out, omitted
from app.worker.extraction.text.markdown import text_of_markdown

PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif")


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read the cells in their order."""
    raw, _ = decode_text(content, charset)
    try:
        book = json.loads(raw)
        sheets = book.get("worksheets") or [book]  # before version 4
        cells = [cell for sheet in sheets for cell in sheet.get("cells") or []]
    except (ValueError, AttributeError, TypeError) as error:
        raise broken("notebook", error) from error
    blocks: list[str] = []
    title, pictures = None, 0
    for cell in filter(lambda each: isinstance(each, dict), cells):
        source = _joined(cell.get("source", cell.get("input")))
        if cell.get("cell_type") in ("markdown", "heading"):
            source, facts = text_of_markdown(source)
            title = title or facts["title"]
        blocks.append(limit.take(source.strip("\n")))
        for output in filter(lambda each: isinstance(each, dict), cell.get("outputs") or []):
            blocks.append(limit.take(_text_of(output).strip("\n")))
            pictures += any(kind in (output.get("data") or output) for kind in (*PICTURES, "png", "jpeg"))
    metadata = {"title": title, "cells": len(cells), **left_out(omitted(pictures, "picture"))}
    return Found("\n\n".join(block for block in blocks if block.strip()), metadata)


def _text_of(output: dict[str, Any]) -> str:
    if "traceback" in output:
        return _joined([f"{line}\n" for line in output["traceback"] if isinstance(line, str)])
    inner = output.get("data")
    data = inner if isinstance(inner, dict) else output
    return _joined(data.get("text/markdown") or data.get("text/plain") or data.get("text"))


def _joined(source: object) -> str:
    """Join the lines of a cell: a notebook has a text or a list of lines."""
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""
