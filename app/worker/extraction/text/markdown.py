"""Reads the text of a Markdown document without its markup, with a complete parser (pulldown-cmark)."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pyromark

OPTIONS = pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_STRIKETHROUGH
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
    for event in pyromark.events(raw, options=OPTIONS):
        collector.take(event)
    collector.end_block()
    text = "\n\n".join(block for block in collector.blocks if block.strip())
    title = fields.get("title") or (collector.headings[0] if collector.headings else None)
    found = {"title": title, "headings": len(collector.headings), "language": fields.get("lang") or None}
    return text, {**found, **({"front_matter": fields} if fields else {})}


class _BlockCollector:
    """Collects blocks of text from the events of the parser: `"SoftBreak"`, or a pair of a name and its content."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.headings: list[str] = []
        self._pieces: list[str] = []  # of the current block
        self._bullet = ""  # goes before the next block
        self._lists: list[int | None] = []  # of each open list: the number of its next item, or None
        self._links: list[tuple[int, str]] = []  # of each open link: its first piece, and its address
        self._row: list[str] | None = None
        self._html: list[str] = []
        self._starts: dict[str, Callable[[Any], None]] = {
            "Heading": self._begin_block, "Paragraph": self._begin_block, "CodeBlock": self._begin_block,
            "List": self._begin_list, "Item": self._begin_item, "TableHead": self._begin_row,
            "TableRow": self._begin_row, "Link": self._begin_link,
        }  # fmt: skip
        self._ends: dict[str, Callable[[], None]] = {
            "Heading": self._end_heading, "Paragraph": self.end_block, "CodeBlock": self._end_code,
            "List": self._end_list, "Item": self.end_block, "TableCell": self._end_cell, "TableHead": self._end_row,
            "TableRow": self._end_row, "Link": self._end_link, "HtmlBlock": self._end_html,
        }  # fmt: skip

    def take(self, event: Any) -> None:
        """Take one event."""
        if isinstance(event, str):
            self._pieces += ["\n"] if event.endswith("Break") else []
            return
        ((kind, content),) = event.items()
        if kind in ("Text", "Code"):
            self._pieces.append(content)
        elif kind == "InlineHtml":
            self._pieces += ["\n"] if content.lower().startswith("<br") else []
        elif kind == "Html":
            self._html.append(content)
        elif kind in ("Start", "End"):
            name, value = (content, None) if isinstance(content, str) else next(iter(content.items()))
            if kind == "Start" and name in self._starts:
                self._starts[name](value)
            elif kind == "End" and name in self._ends:
                self._ends[name]()

    def end_block(self) -> None:
        """Add the current block. An item of a list is a block, too, if there is no paragraph in it."""
        text = "".join(self._pieces).strip()
        self._pieces = []
        if text:
            self.blocks.append(self._bullet + text)
            self._bullet = ""

    def _begin_block(self, _: Any) -> None:
        self.end_block()

    def _end_heading(self) -> None:
        self.headings.append("".join(self._pieces).strip())
        self.end_block()

    def _end_code(self) -> None:
        self.blocks.append("".join(self._pieces).rstrip("\n"))
        self._pieces = []

    def _begin_list(self, first: int | None) -> None:
        self.end_block()
        self._lists.append(first)

    def _end_list(self) -> None:
        self._lists.pop()

    def _begin_item(self, _: Any) -> None:
        number = self._lists[-1]
        self._bullet = "- " if number is None else f"{number}. "
        self._lists[-1] = None if number is None else number + 1

    def _begin_row(self, _: Any) -> None:
        self._row = []

    def _end_cell(self) -> None:
        if self._row is not None:
            self._row.append("".join(self._pieces).strip())
        self._pieces = []

    def _end_row(self) -> None:
        self.blocks.append(" | ".join(self._row or []))
        self._row = None

    def _begin_link(self, link: Any) -> None:
        self._links.append((len(self._pieces), link["dest_url"]))

    def _end_link(self) -> None:
        begin, address = self._links.pop()
        shown = "".join(self._pieces[begin:])
        if address not in ("", shown, f"mailto:{shown}"):
            self._pieces.append(f" ({address})")

    def _end_html(self) -> None:
        self.end_block()
        self.blocks.append(_Html.text_of("".join(self._html)))
        self._html = []


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
