"""Reads a Word document (.docx): paragraphs and tables in their order, with python-docx."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import docx
from docx.opc.exceptions import OpcError
from docx.table import Table
from lxml import etree

from app.worker.extraction.extracted import Extracted, TextLimit, broken
from app.worker.extraction.office import check_archive, row


def read(content: bytes, charset: str | None, limit: TextLimit) -> Extracted:
    """Read a document. Headers, footers and comments are left out."""
    check_archive(content, "Word")
    try:
        document = docx.Document(BytesIO(content))
        text = "\n\n".join(limit.take(block) for block in _blocks(document) if block.strip())
        title = document.core_properties.title or None
    except (OpcError, etree.LxmlError, KeyError, ValueError, AttributeError, IndexError, TypeError) as error:
        raise broken("Word", error) from error
    return Extracted(text, {"title": title})


def _blocks(container: Any) -> Iterator[str]:
    for block in container.iter_inner_content():
        if isinstance(block, Table):
            yield from filter(None, (_row(line) for line in block.rows))
        else:
            yield block.text


def _row(line: Any) -> str:
    cells: list[str] = []
    before = None
    for cell in line.cells:
        if cell._tc is not before:  # a merged cell is repeated for each of its columns
            cells.append(" ".join(" ".join(_blocks(cell)).split()))
        before = cell._tc
    return row(cells)
