"""Estimates for a batch that does not exist yet: about how many tokens its tasks would send."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.prompts import PLACEHOLDER, placeholders, render

CHARACTERS_A_TOKEN = 4  # roughly, in European languages; no tokenizer is used


@dataclass(frozen=True)
class Texts:
    """The documents whose length is known: how many they are, and the sum of their characters."""

    count: int = 0
    characters: int = 0


def input_tokens(texts: Texts, prompts: Iterable[tuple[str, str | None]], models: int) -> int:
    """Estimate the tokens of all prompts (text, system) with all texts, sent to each of `models` models."""
    characters = 0
    for text, system in prompts:
        templates = [text] if system is None else [text, system]
        own = sum(len(render(each, "", "")) for each in templates)
        # As in app.domain.prompts: if no template names the document, its text follows the prompt.
        times = sum(_times(each) for each in templates) if "document" in placeholders(*templates) else 1
        characters += texts.count * own + times * texts.characters
    return models * -(-characters // CHARACTERS_A_TOKEN)


def _times(template: str) -> int:
    return sum(found[2] == "document" for found in PLACEHOLDER.finditer(template))
