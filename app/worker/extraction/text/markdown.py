"""Reads the text of a Markdown document without its markup, with a complete parser (markdown-it)."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MAX_FIELDS = 100
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.S | re.M)
_FIELD = re.compile(r"^([A-Za-z][\w -]{0,60}):[ \t]*(.*(?:\r?\n(?:[ \t]+|- ).*)*)", re.M)


def text_of_markdown(raw: str) -> tuple[str, dict[str, Any]]:
    """Return the text, with empty lines between blocks, and `{"title", "headings"}`. `title` may be None.

    The fields between `---` at the beginning are not text: they are `front_matter` of the metadata.
    """
    fields: dict[str, str] = {}
    if (front := _FRONT_MATTER.match(raw)) and (not front[1].strip() or _FIELD.search(front[1])):
        fields = {name: " ".join(value.split()).strip("\"'") for name, value in _FIELD.findall(front[1])[:MAX_FIELDS]}
        raw = raw[front.end() :]
    collector = _BlockCollector()
    for token in PARSER.parse(raw):
        collector.take(token)
    text = "\n\n".join(block for block in collector.blocks if block.strip())
    title = fields.get("title") or (collector.headings[0] if collector.headings else None)
    found = {"title": title, "headings": len(collector.headings), "language": fields.get("lang") or None}
    return text, {**found, **({"front_matter": fields} if fields else {})}


class _BlockCollector:
    """Collects blocks of text from the tokens of the parser."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.headings: list[str] = []
        self._in_heading = False
        self._bullet = ""  # goes before the next block
        self._row: list[str] | None = None
        self._by_type: dict[str, Callable[[Token], None]] = {
            "inline": self._inline,
            "heading_open": self._heading,
            "list_item_open": self._item,
            "tr_open": self._begin_row,
            "tr_close": self._end_row,
            "fence": self._code,
            "code_block": self._code,
            "html_block": self._html,
        }

    def take(self, token: Token) -> None:
        if token.type in self._by_type:
            self._by_type[token.type](token)

    def _inline(self, token: Token) -> None:
        text = _text_of(token)
        if self._row is not None:
            self._row.append(text)
            return
        if self._in_heading:
            self.headings.append(text)
        self.blocks.append(self._bullet + text if text else "")
        self._in_heading, self._bullet = False, ""

    def _heading(self, _: Token) -> None:
        self._in_heading = True

    def _item(self, token: Token) -> None:
        self._bullet = f"{token.info}{token.markup} " if token.info else "- "

    def _begin_row(self, _: Token) -> None:
        self._row = []

    def _end_row(self, _: Token) -> None:
        self.blocks.append(" | ".join(self._row or []))
        self._row = None

    def _code(self, token: Token) -> None:
        self.blocks.append(token.content.rstrip("\n"))

    def _html(self, token: Token) -> None:
        self.blocks.append(_Html.text_of(token.content))


def _text_of(token: Token) -> str:
    parts: list[str] = []
    begin, address = 0, ""  # of the current link
    for child in token.children or []:
        if child.type in ("text", "code_inline"):
            parts.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif child.type == "image":
            parts.append(_text_of(child))  # an image is replaced by its alternative text
        elif child.type == "html_inline" and child.content.lower().startswith("<br"):
            parts.append("\n")
        elif child.type == "link_open":
            begin, address = len(parts), str(child.attrs.get("href") or "")
        elif child.type == "link_close" and address not in ("", shown := "".join(parts[begin:]), f"mailto:{shown}"):
            parts.append(f" ({address})")
    return "".join(parts).strip()


class _Html(HTMLParser):
    """Collects the text of a piece of HTML, without comments, styles and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    @classmethod
    def text_of(cls, html: str) -> str:
        parser = cls()
        parser.feed(html)
        parser.close()
        return "".join(parser.parts).strip()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style") and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)
