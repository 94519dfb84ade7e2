"""Prompts: renders templates to the messages that a model gets for a document.

A template has three kinds of placeholder: `{document}` (the document's text), `{name}` (its name), and
`{metadata.author}` (a value that staging found; `{metadata.origin.page}` looks inside an object). A value that the
metadata does not have is empty, because the documents of a batch differ in their metadata. All other braces stay as
they are, because prompts may contain JSON. Double braces are an escape: `{{document}}` renders as `{document}`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

METADATA = "metadata."
_WORD = r"(document|name|metadata(?:\.[\w-]+)+)"
# One pass over the template only: the text of a document is never searched for placeholders.
PLACEHOLDER = re.compile(rf"\{{\{{{_WORD}\}}\}}|\{{{_WORD}\}}")


def placeholders(*templates: str | None) -> set[str]:
    """Find the placeholders in templates: besides the templates, an answer depends on nothing else."""
    return {found[2] for each in templates if each for found in PLACEHOLDER.finditer(each) if found[2]}


def value_of(metadata: Any, placeholder: str) -> str:
    """Write the value of `metadata.a.b`: text as it is, another value as JSON, a missing value as empty text.

    Metadata comes from a worker: if it is not an object, all its values are missing.
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

    If neither contains `{document}`, the text is added to the prompt after a blank line: it is never left out.
    """
    content = render(template, text, name, metadata)
    if "document" not in placeholders(template, system):
        content = f"{content.rstrip()}\n\n{text}" if content.strip() else text
    first = [] if system is None else [{"role": "system", "content": render(system, text, name, metadata)}]
    return [*first, {"role": "user", "content": content}]


def filled_in(words: Iterable[str], name: str, metadata: Any) -> dict[str, str]:
    """Return the values of these placeholders for a document, except its text."""
    return {word: name if word == "name" else value_of(metadata, word) for word in words if word != "document"}
