"""Answers in Markdown, as HTML: headings, lists, tables, code and emphasis. No link is active, nothing is loaded.

An answer is somebody else's text: HTML in it is shown as text.
"""

from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST = 100_000  # characters
FIRST_HEADING, LAST_HEADING = 3, 6  # those of the page are above


def rendered(text: str) -> Markup:
    """Render an answer; a very long one is cut, and says so."""
    more = len(text) - LONGEST
    parser = _parser()
    tokens = parser.parse(text[:LONGEST])
    highest = min((int(each.tag[1]) for each in tokens if each.type == "heading_open"), default=FIRST_HEADING)
    for token in tokens:
        _tame(token)
        if token.type.startswith("heading_"):
            token.tag = f"h{min(LAST_HEADING, int(token.tag[1]) - highest + FIRST_HEADING)}"
    html = parser.renderer.render(tokens, parser.options, {})
    note = f"<p>... and {more:,} characters more</p>" if more > 0 else ""
    return Markup(html + note)  # the parser escapes what the answer says


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # 1 MB, which a process has only if it shows an answer

    return (
        MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 20})
        .enable(["table", "strikethrough"])
        .disable(["link", "image", "autolink", "html_inline", "html_block", "reference"])
    )


def _tame(token: "Token") -> None:
    """Take the attributes away, such as the styles of columns, which the pages' policy refuses."""
    token.attrs = {name: value for name, value in token.attrs.items() if name == "start"}
    token.info = ""
    for child in token.children or ():
        _tame(child)
