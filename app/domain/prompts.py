"""Prompts: what a model is sent for a document. Pure text in, messages out.

A template knows two placeholders, `{document}` (the document's text) and `{name}` (its name). Every other brace
stays as it is, for prompts hold JSON; `{{document}}` and `{{name}}` stand for the literal words in single braces.
"""

import re

# One pass over the template alone: what a document says is never read as a placeholder.
PLACEHOLDER = re.compile(r"\{\{(document|name)\}\}|\{(document|name)\}")


def render(template: str, text: str, name: str) -> str:
    """Fill in the placeholders of `template` with the document's `text` and `name`."""
    values = {"document": text, "name": name}

    def fill(found: re.Match[str]) -> str:
        escaped, placeholder = found.groups()
        return f"{{{escaped}}}" if escaped else values[placeholder]

    return PLACEHOLDER.sub(fill, template)


def messages(template: str, text: str, name: str) -> list[dict[str, str]]:
    """Make the chat messages of one task: a single user message with the rendered prompt.

    Where the template has no `{document}`, the text follows after a blank line: it is never silently left out.
    """
    content = render(template, text, name)
    if not any(found[2] == "document" for found in PLACEHOLDER.finditer(template)):
        content = f"{content.rstrip()}\n\n{text}" if content.strip() else text
    return [{"role": "user", "content": content}]


def uses_name(*templates: str | None) -> bool:
    """Say whether a document's name is part of what is asked by these templates."""
    return any(found[2] == "name" for each in templates if each for found in PLACEHOLDER.finditer(each))
