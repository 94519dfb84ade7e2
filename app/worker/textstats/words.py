"""Words, sentences and syllables of a text in any language, by stated rules rather than dictionaries.

A word is a run of letters and their marks; an apostrophe or hyphen inside belongs to it; digits alone are no word.
Chinese, Japanese, Thai, Lao, Khmer and Burmese are written without spaces: there each character counts as a word.
"""

import re
import unicodedata

# The scripts that put no space between words; Korean does, and is not among them. Only the first plane of Unicode, here
# and below: beyond it, `re` searches a set of characters one by one.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Kana and Han
)
# Vowel signs and accents are no letters to `re`, but part of a word: without them Hindi falls to pieces.
MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)).startswith("M"))
_LETTER = rf"[^\W\d_{UNSPACED}{MARKS}]"
_RUN = rf"{_LETTER}+[{MARKS}]*"
_WORD = re.compile(rf"{_RUN}(?:['’\-‐]?{_RUN})*|(?![{MARKS}\d])[{UNSPACED}][{MARKS}]*")
_UNSPACED = re.compile(f"[{UNSPACED}]")
# A mark of punctuation ends a sentence where a space follows, so that 3.5 and example.org do not; those of
# Chinese and Japanese always do; so does an empty line, as after a heading.
_SENTENCE_END = re.compile(r"[.!?…‽؟۔।॥]+[\"'”’»)\]]*(?=\s|$)|[。！？]+|\n\s*\n")
_VOWELS = re.compile(r"[aeiouyàâäáæãéèêëíìîïóòôöøœõúùûüýÿ]+")
_SILENT_E = re.compile(r"(?<=[^aeiouyl])(?:e|es|ed)$|(?<=[aeiouy]l)es?$")  # in English, but for:
_SPOKEN_ENDING = re.compile(r"(?:[td]ed|(?:[sxz]|ch|sh|ce|ge|se|ze)es|[sxzcg]es)$")


def words(text: str) -> list[str]:
    """List the words of a text, as they stand."""
    return _WORD.findall(text)


def unspaced_share(text_words: list[str]) -> float:
    """The share, 0..1, of words that are characters of a script without spaces."""
    return sum(1 for word in text_words if _UNSPACED.match(word)) / len(text_words) if text_words else 0.0


def sentence_count(text: str) -> int:
    """Count the sentences that hold a word; a text with words has at least one."""
    return sum(1 for piece in _SENTENCE_END.split(text) if _WORD.search(piece))


def syllable_count(word: str, language: str) -> int:
    """Estimate the syllables of a word by its groups of vowels; an English silent e does not count. At least 1."""
    plain = unicodedata.normalize("NFC", word).lower()
    if language == "en" and not _SPOKEN_ENDING.search(plain):
        plain = _SILENT_E.sub("", plain)
    return max(len(_VOWELS.findall(plain)), 1)
