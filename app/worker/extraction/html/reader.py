"""Reads an HTML page as a browser shows it: a line for each block, bars between the cells of a table."""

import re
from collections.abc import Callable
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
LISTS = ("ul", "ol", "menu", "dir")
PREFORMATTED = ("pre", "listing", "xmp")
CELLS = ("td", "th")
# What the begin and the end of an element do. Those of all other elements do nothing.
_OPENED: dict[str, Callable[[Page, Any], None]] = {
    **dict.fromkeys(BLOCKS, lambda page, _: page.end_line()),
    **dict.fromkeys(LISTS, Page.open_list),
    **dict.fromkeys(PREFORMATTED, lambda page, _: page.open_pre()),
    **dict.fromkeys(CELLS, Page.open_cell),
    "li": Page.open_item,
    "table": lambda page, _: page.open_table(),
    "tr": lambda page, _: page.open_row(),
    "sup": Page.write_raised,
}
_CLOSED: dict[str, Callable[[Page], None]] = {
    **dict.fromkeys(BLOCKS, Page.end_line),
    **dict.fromkeys(LISTS, Page.close_list),
    **dict.fromkeys(PREFORMATTED, Page.close_pre),
    **dict.fromkeys(CELLS, Page.close_cell),
    "li": Page.close_item,
    "table": Page.close_table,
    "tr": Page.close_row,
}
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
        if event == "end":
            if close := _CLOSED.get(element.tag):
                close(page)
            page.write(element.tail)
        elif shown.is_hidden(element):
            walker.skip_subtree()
        elif (instead := shown.replacement(element)) is not None:
            page.write(instead)
            walker.skip_subtree()
        else:
            if opened := _OPENED.get(element.tag):
                opened(page, element)
            page.write(element.text)
