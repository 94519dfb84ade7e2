"""Reads an HTML page as a browser shows it: a line for each block, bars between the cells of a table."""

import re
from typing import Any

from lxml import etree

from app.worker.extraction.encodings import decode_text, encoding_of
from app.worker.extraction.found import Found, TextLimit, Unreadable, broken, left_out, omitted
from app.worker.extraction.html import shown
from app.worker.extraction.html.page import Page

BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "dialog", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header",
    "hgroup", "hr", "legend", "main", "nav", "p", "section", "summary",
}  # fmt: skip
_LABEL = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9_:.-]{1,40})"
    rb"|\A\s*<\?xml[^>]{0,100}encoding\s*=\s*[\"']([A-Za-z0-9_:.-]{1,40})",
    re.I,
)


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read a page. If the media type has no charset, the page's own <meta> element gives it."""
    raw, encoding = decode_text(content, charset or own_charset(content))
    return text_of_html(raw, limit, {"encoding": encoding})


def text_of_html(raw: str, limit: TextLimit, metadata: dict[str, Any]) -> Found:
    """Return the text of a page, and `metadata` with its title and language."""
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(raw.encode("utf-8", "replace"), parser)
    except etree.LxmlError as error:
        raise broken("HTML", error) from error
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise Unreadable("is nested too deeply")  # otherwise the end of the page would be lost hiddenly
    if root is None:
        return Found("", metadata)
    title = " ".join(str(root.xpath("string(//title)")).split()) or None
    page = Page(limit)
    _walk(root, page)
    pictures = sum(map(shown.is_undescribed_picture, root.iter("img")))
    return Found(
        page.text(),
        {
            **metadata,
            "title": title,
            "language": root.get("lang") or None,
            **left_out(omitted(pictures, "picture without a description")),
        },
    )


def own_charset(content: bytes) -> str | None:
    """Read the charset that a page gives in itself; None if it gives none."""
    label = _LABEL.search(content[:4096])
    found = encoding_of((label[1] or label[2]).decode()) if label else None
    # A label that can be read byte by byte is not UTF-16, whatever it says.
    return "utf-8" if found and found.startswith("utf-16") else found


def _walk(root: Any, page: Page) -> None:
    """Go through all elements without recursion: a page may be nested very deeply."""
    walker = etree.iterwalk(root, events=("start", "end"))
    for event, element in walker:
        tag = element.tag
        if event == "end":
            _close(tag, page)
            page.write(element.tail or "")
        elif shown.is_hidden(element):
            walker.skip_subtree()
        elif (instead := shown.replacement(element)) is not None:
            page.write(instead)
            walker.skip_subtree()
        else:
            _open(element, page)
            page.write(element.text or "")


def _open(element: Any, page: Page) -> None:
    tag = element.tag
    if tag in BLOCKS:
        page.end_line()
    elif tag in ("ul", "ol", "menu", "dir"):
        page.open_list(element)
    elif tag == "li":
        page.open_item(element)
    elif tag in ("pre", "listing", "xmp"):
        page.open_pre()
    elif tag == "table":
        page.open_table()
    elif tag == "tr":
        page.open_row()
    elif tag in ("td", "th"):
        page.open_cell(element)
    elif tag == "sup":
        page.write_raised(element)


def _close(tag: str, page: Page) -> None:
    if tag in BLOCKS:
        page.end_line()
    elif tag in ("ul", "ol", "menu", "dir"):
        page.close_list()
    elif tag == "li":
        page.close_item()
    elif tag in ("pre", "listing", "xmp"):
        page.close_pre()
    elif tag == "table":
        page.close_table()
    elif tag == "tr":
        page.close_row()
    elif tag in ("td", "th"):
        page.close_cell()
