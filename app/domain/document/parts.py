"""Splits the text of a long document into parts on borders of paragraphs, with overlap. Each has its own tasks."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

MOST_PARTS = 100  # of a document
MOST_TASKS = 10_000  # of a document: its parts by the prompts by the models
# Where a text is divided, the best border first: between paragraphs, lines, sentences, words.
_BORDERS = tuple(map(re.compile, (r"\n[ \t]*\n\s*", r"\n", r"(?<=[.!?])\s+|(?<=\u3002)", r"\s")))
_LONGEST_BORDER = 8  # characters; a longer one is rare
LONGEST_STEP_BACK = 0.5  # of a part, which a border may be before its longest end


class Part(NamedTuple):
    """A part of a text: its place in characters. `end` is not in it."""

    start: int
    end: int


def parts_of(text: str, most_characters: int, overlap: int) -> list[Part]:
    """Divide a text into parts of at most so many characters. All of the text is in them.

    A part begins with the end of the part before it, up to `overlap` characters, from a border on.
    """
    parts, start = [], 0
    while len(text) - start > most_characters:
        end = _border_before(text, start, start + most_characters)
        parts.append(Part(start, end))
        start = max(_border_after(text, end - overlap, end), start + 1)
    return [*parts, Part(start, len(text))]


def amount_of(characters: int, most_characters: int, overlap: int) -> int:
    """Estimate the number of parts of a text from its length alone."""
    return 1 if characters <= most_characters else -(-(characters - overlap) // (most_characters - overlap))


def most_parts(prompts: int, models: int) -> int:
    """Give the number of parts that a document may have in a batch."""
    return max(1, min(MOST_PARTS, MOST_TASKS // max(1, prompts * models)))


def with_part(metadata: Any, part: int, parts: int) -> dict[str, Any]:
    """Add to the metadata of a document which part of it a task is about: templates may name it."""
    return {**(metadata if isinstance(metadata, dict) else {}), "part": part, "parts": parts}


def _border_before(text: str, start: int, longest: int) -> int:
    """Find the best border in the last half of a part. Where it has no border, return the end of the part."""
    first = start + max(1, int((longest - start) * (1 - LONGEST_STEP_BACK)))
    for border in _BORDERS:
        found = 0
        for match in border.finditer(text, first, longest):
            found = match.end()
        if found:
            return found
    return longest


def _border_after(text: str, earliest: int, end: int) -> int:
    """Find where the overlap begins: at its first border."""
    if earliest >= end:
        return end
    for border in _BORDERS:
        for match in border.finditer(text, max(0, earliest - _LONGEST_BORDER), end):
            if match.end() >= earliest and text[match.end() : end].strip():
                return match.end()
    return end


class TooManyParts(ValueError):
    """A document would have more parts than it may have; the message is a sentence."""


@dataclass(frozen=True)
class SplitRule:
    """How a document is split."""

    name: str
    part_characters: int
    overlap_characters: int
    most_parts: int

    def parts_of(self, text: str) -> list[Part]:
        """Divide the text; one part for all of it if it is short. Raises TooManyParts."""
        parts = parts_of(text, self.part_characters, self.overlap_characters)
        if len(parts) > self.most_parts:
            raise TooManyParts(
                f"Document {self.name!r} has {len(text):,} characters: that would be {len(parts):,} parts, and a "
                f"document of this batch may have {self.most_parts:,}. Raise its part_characters."
            )
        return parts
