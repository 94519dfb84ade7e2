"""Reads the visible text of an HTML page: one line for each block, bars between the cells of a table."""

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from app.worker.extraction.encodings import decode_text, encoding_of
from app.worker.extraction.extracted import Extracted, TextLimit, Unreadable, broken

HIDDEN = {"script", "style", "noscript", "template", "head", "svg", "math", "iframe", "object", "select", "textarea"}
BLOCKS = {
    "address", "article", "aside", "blockquote", "br", "caption", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li",
    "main", "nav", "ol", "p", "pre", "section", "summary", "table", "tr", "ul",
}  # fmt: skip
CELLS = {"td", "th"}
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9_:-]{1,40})", re.I)


def read(content: bytes, charset: str | None, limit: TextLimit) -> Extracted:
    """Read a page. If the media type has no charset, the page's own <meta> element gives it."""
    found = _CHARSET.search(content[:4096])
    raw, encoding = decode_text(content, charset or (encoding_of(found[1].decode()) if found else None))
    return Extracted(*text_of_html(raw, limit, {"encoding": encoding}))


def text_of_html(raw: str, limit: TextLimit, metadata: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the text of a page, and `metadata` with its title."""
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True, remove_comments=True)
    try:
        root = etree.fromstring(raw.encode("utf-8", "replace"), parser)
    except etree.LxmlError as error:
        raise broken("HTML", error) from error
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise Unreadable("is nested too deeply")  # otherwise the end of the page would be lost hiddenly
    if root is None:
        return "", metadata
    title = " ".join(str(root.xpath("string(//title)")).split()) or None
    lines = (" ".join(line.split()) for line in "".join(limit.take(piece) for piece in _pieces(root)).split("\n"))
    text = "\n".join(line.removeprefix("| ") for line in lines if line)
    return text, {**metadata, "title": title}


def _pieces(root: Any) -> Iterator[str]:
    hidden = 0  # how many of the open elements are not shown
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "start":
            hidden += tag in HIDDEN
            if not hidden:
                yield "\n" if tag in BLOCKS else " | " if tag in CELLS else ""
                yield (element.text or "") if tag else ""
            continue
        hidden -= tag in HIDDEN
        if not hidden:
            yield "\n" if tag in BLOCKS else ""
            yield element.tail or ""
