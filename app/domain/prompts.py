"""Prompts: renders templates to the messages that a model gets for a document.

A template has three kinds of placeholder: `{document}` (the document's text), `{name}` (its name), and
`{metadata.author}` (a value that staging found; `{metadata.origin.page}` looks inside an object). A value that the
metadata does not have is empty, because the documents of a batch differ in their metadata. All other braces stay as
they are, because prompts may contain JSON. Double braces are an escape: `{{document}}` renders as `{document}`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

METADATA = "metadata."
MOST_CHARACTERS = 32 * 1024 * 1024  # of the messages of one task
_WORD = r"(document|name|metadata(?:\.[\w-]+)+)"
_PLAIN_WORDS = ("document", "name", "metadata")
_IN_BRACES = re.compile(r"(?<!\{)\{([A-Za-z_][\w.-]*)\}(?!\})")
# One pass over the template only: the text of a document is never searched for placeholders.
PLACEHOLDER = re.compile(rf"\{{\{{{_WORD}\}}\}}|\{{{_WORD}\}}")


class PromptTooLarge(ValueError):
    """The rendered messages of a task would be longer than MOST_CHARACTERS."""

    def __init__(self, length: int) -> None:
        super().__init__(f"The prompt would have {length:,} characters; the limit is {MOST_CHARACTERS:,}.")


def placeholders(*templates: str | None) -> set[str]:
    """Find the placeholders in templates: besides the templates, an answer depends on nothing else."""
    return {found[2] for each in templates if each for found in PLACEHOLDER.finditer(each) if found[2]}


class Unknown(NamedTuple):
    """A word in braces that is no placeholder, and the placeholder that was probably meant, if one is like it."""

    word: str
    meant: str | None


def unknown_words(*templates: str | None) -> list[Unknown]:
    """Find the words in single braces that are no placeholders: they go to the model as they are."""
    found = {each[1]: None for text in templates if text for each in _IN_BRACES.finditer(text)}
    unknown = [word for word in found if not PLACEHOLDER.fullmatch(f"{{{word}}}")]
    return [Unknown(word, next(iter(get_close_matches(word.lower(), _PLAIN_WORDS, 1)), None)) for word in unknown]


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
    return "".join(piece for piece, _ in _pieces(template, text, name, metadata))


def _pieces(template: str, text: str, name: str, metadata: Any) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a filled-in template, and of each whether it is the text of the document."""
    values, end = {"document": text, "name": name}, 0
    for found in PLACEHOLDER.finditer(template):
        yield template[end : found.start()], False
        escaped, placeholder = found.groups()
        if escaped:
            yield f"{{{escaped}}}", False
        else:
            value = values[placeholder] if placeholder in values else value_of(metadata, placeholder)
            yield value, placeholder == "document"
        end = found.end()
    yield template[end:], False


def messages(
    template: str, text: str, name: str, metadata: Any = None, system: str | None = None
) -> list[dict[str, str]]:
    """Make the chat messages of one task: the rendered `system` text if there is one, then the rendered prompt.

    If neither contains `{document}`, the text is added to the prompt after a blank line: it is never left out.
    Raises PromptTooLarge before anything is rendered.
    """
    _check_length([each for each in (template, system) if each is not None], text, name, metadata)
    content = render(template, text, name, metadata)
    if text and "document" not in placeholders(template, system):
        content = f"{content.rstrip()}\n\n{text}" if content.strip() else text
    first = [] if system is None else [{"role": "system", "content": render(system, text, name, metadata)}]
    return [*first, {"role": "user", "content": content}]


def places_of_document(
    rendered: list[dict[str, str]], template: str, text: str, name: str, metadata: Any = None, system: str | None = None
) -> list[dict[str, int]]:
    """Find the document's text in its rendered messages: `[{"message": 1, "start": 20, "end": 950}]`, in characters."""
    places = []
    for number, each in enumerate(filter(None, [system, template])):
        position = 0
        for piece, is_document in _pieces(each, text, name, metadata):
            end = position + len(piece)
            if is_document and piece:
                places.append({"message": number, "start": position, "end": end})
            position = end
    if places or not text:
        return places
    last = len(rendered) - 1
    end = len(rendered[last]["content"])
    return [{"message": last, "start": end - len(text), "end": end}]


def _check_length(templates: list[str], text: str, name: str, metadata: Any) -> None:
    """Compute from the lengths of the values how long the messages will be, or a little more. Raises PromptTooLarge."""
    words = placeholders(*templates)
    lengths = {word: len(value) for word, value in filled_in(words, name, metadata).items()}
    lengths["document"] = len(text)
    length = 0 if "document" in words else len(text)
    for template in templates:
        length += len(template) + sum(lengths[found[2]] for found in PLACEHOLDER.finditer(template) if found[2])
    if length > MOST_CHARACTERS:
        raise PromptTooLarge(length)


def filled_in(words: Iterable[str], name: str, metadata: Any) -> dict[str, str]:
    """Return the values of these placeholders for a document, except its text."""
    return {word: name if word == "name" else value_of(metadata, word) for word in words if word != "document"}
