"""Prompts: what a model is sent for a document. Pure text in, messages out.

A template knows three kinds of placeholder: `{document}` (the document's text), `{name}` (its name), and
`{metadata.author}` (what staging found out about it; `{metadata.origin.page}` looks inside an object). What the
metadata does not have is empty: documents of one batch differ in what is known of them. Every other brace stays as
it is, for prompts hold JSON; `{{document}}` stands for the literal word in single braces, and so do the others.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

METADATA = "metadata."
_WORD = r"(document|name|metadata(?:\.[\w-]+)+)"
# One pass over the template alone: what a document says is never read as a placeholder.
PLACEHOLDER = re.compile(rf"\{{\{{{_WORD}\}}\}}|\{{{_WORD}\}}")


def placeholders(*templates: str | None) -> set[str]:
    """Find what is filled in in these templates: all that an answer depends on beside the templates themselves."""
    return {found[2] for each in templates if each for found in PLACEHOLDER.finditer(each) if found[2]}


def value_of(metadata: Any, placeholder: str) -> str:
    """Write the value that `metadata.a.b` stands for: text as it is, anything else as JSON, nothing as nothing.

    The metadata is what a worker said: where it is no object, it has nothing.
    """
    value = metadata
    for key in placeholder.removeprefix(METADATA).split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def render(template: str, text: str, name: str, metadata: Any = None) -> str:
    """Fill in the placeholders of `template` with the document's `text`, `name` and `metadata`."""
    values = {"document": text, "name": name}

    def fill(found: re.Match[str]) -> str:
        escaped, placeholder = found.groups()
        if escaped:
            return f"{{{escaped}}}"
        return values[placeholder] if placeholder in values else value_of(metadata, placeholder)

    return PLACEHOLDER.sub(fill, template)


def messages(
    template: str, text: str, name: str, metadata: Any = None, system: str | None = None
) -> list[dict[str, str]]:
    """Make the chat messages of one task: the rendered `system` text if there is one, then the rendered prompt.

    Where neither has `{document}`, the text follows the prompt after a blank line: it is never silently left out.
    """
    content = render(template, text, name, metadata)
    if "document" not in placeholders(template, system):
        content = f"{content.rstrip()}\n\n{text}" if content.strip() else text
    first = [] if system is None else [{"role": "system", "content": render(system, text, name, metadata)}]
    return [*first, {"role": "user", "content": content}]


def filled_in(words: Iterable[str], name: str, metadata: Any) -> dict[str, str]:
    """Give what these placeholders stand for in a document, its text aside: with it, all that an answer depends on."""
    return {word: name if word == "name" else value_of(metadata, word) for word in words if word != "document"}
