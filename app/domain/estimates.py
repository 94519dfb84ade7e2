"""Estimates for a batch that does not exist yet: about how many tokens its tasks would send."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.domain.document.parts import amount_of
from app.domain.documents import PromptInput
from app.domain.prompts import PLACEHOLDER, placeholders, render

CHARACTERS_A_TOKEN = 4  # roughly, in European languages; no tokenizer is used
PAGE_TOKENS = 1_105  # of a page of A4 as a picture, as workers count it: by OpenAI's rule of tiles


@dataclass(frozen=True)
class Texts:
    """The documents whose length is known: how many they are, and the sum of their characters.

    Of documents that are split, each part is a text.
    """

    count: int = 0
    characters: int = 0
    parts: int = 0  # more of them than documents

    def split(self, most_characters: int, overlap: int) -> "Texts":
        """Divide these documents, as if all had the same length."""
        of_each = amount_of(self.characters // self.count, most_characters, overlap) if self.count else 1
        more = self.count * (of_each - 1)
        return Texts(self.count, self.characters + more * overlap, more)


class Template(NamedTuple):
    """What is sent with each document: the text of a prompt, its system text, and what it gets of the document."""

    text: str
    system: str | None
    input: str = PromptInput.TEXT

    @property
    def templates(self) -> list[str]:
        return [each for each in (self.text, self.system) if each is not None]

    @property
    def own_characters(self) -> int:
        return sum(len(render(each, "", "")) for each in self.templates)


def text_tokens(texts: Texts, prompts: Iterable[Template], models: int) -> int:
    """Estimate the tokens of all prompts that get texts with all texts, sent to each of `models` models."""
    characters = 0
    for prompt in prompts:
        if prompt.input == PromptInput.TEXT:
            named = "document" in placeholders(*prompt.templates)
            # As in app.domain.prompts: if no template names the document, its text follows the prompt.
            times = sum(map(_times, prompt.templates)) if named else 1
            characters += (texts.count + texts.parts) * prompt.own_characters + times * texts.characters
    return models * _tokens(characters)


def picture_tokens(documents: int, prompts: Iterable[Template], models: int) -> int:
    """Estimate the tokens of all prompts that get pictures. Each document counts as one page."""
    of_images = [prompt for prompt in prompts if prompt.input == PromptInput.IMAGES]
    return models * documents * sum(_tokens(prompt.own_characters) + PAGE_TOKENS for prompt in of_images)


def all_tokens(texts: Texts, documents: int, prompts: Sequence[Template], models: int) -> float:
    """Estimate the tokens of all prompts with `documents` documents, of which those with a known text are `texts`.

    The other documents count as these do on average. 0 if prompts get texts and no text is known.
    """
    if any(prompt.input == PromptInput.TEXT for prompt in prompts) and not texts.count:
        return 0.0
    of_texts = text_tokens(texts, prompts, models) * documents / texts.count if texts.count else 0.0
    return of_texts + picture_tokens(documents, prompts, models)


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_A_TOKEN)


def _times(template: str) -> int:
    return sum(found[2] == "document" for found in PLACEHOLDER.finditer(template))
