"""Finds the words, sentences and syllables of a text in any language, by fixed rules without dictionaries.

A word is a run of letters and their marks, with apostrophes and hyphens inside it. Digits alone are not a word.
Chinese, Japanese, Thai, Lao, Khmer and Burmese are written without spaces: there each character counts as a word.
"""

import re
import unicodedata

# Scripts without spaces between words; Korean has spaces. Here and below, only the first plane of Unicode is used:
# with characters beyond it, `re` searches a set one character after the other.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Kana and Han
)
# Vowel signs and accents are not letters to `re`, but they are parts of words, for example in Hindi.
MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)).startswith("M"))
_LETTER = rf"[^\W\d_{UNSPACED}{MARKS}]"
_RUN = rf"{_LETTER}+[{MARKS}]*"
_WORD = re.compile(rf"{_RUN}(?:['’\-‐]?{_RUN})*|(?![{MARKS}\d])[{UNSPACED}][{MARKS}]*")
_UNSPACED = re.compile(f"[{UNSPACED}]")
# A punctuation mark ends a sentence if a space follows: 3.5 and example.org do not. The marks of Chinese and
# Japanese always end one, and so does an empty line, as after a heading.
_SENTENCE_END = re.compile(r"[.!?…‽؟۔।॥]+[\"'”’»)\]]*(?=\s|$)|[。！？]+|\n\s*\n")
_VOWELS = re.compile(r"[aeiouyàâäáæãéèêëíìîïóòôöøœõúùûüýÿ]+")
_SILENT_E = re.compile(r"(?<=[^aeiouyl])(?:e|es|ed)$|(?<=[aeiouy]l)es?$")  # in English, except:
_SPOKEN_ENDING = re.compile(r"(?:[td]ed|(?:[sxz]|ch|sh|ce|ge|se|ze)es|[sxzcg]es)$")


def words(text: str) -> list[str]:
    """List the words of a text, unchanged."""
    return _WORD.findall(text)


def unspaced_share(text_words: list[str]) -> float:
    """Compute the share, 0..1, of words that are characters of a script without spaces."""
    return sum(1 for word in text_words if _UNSPACED.match(word)) / len(text_words) if text_words else 0.0


def sentence_count(text: str) -> int:
    """Count the sentences that contain a word. A text with words has at least one."""
    return sum(1 for piece in _SENTENCE_END.split(text) if _WORD.search(piece))


def syllable_count(word: str, language: str) -> int:
    """Estimate the syllables of a word: its groups of vowels, without the silent e of English. At least 1."""
    plain = unicodedata.normalize("NFC", word).lower()
    if language == "en" and not _SPOKEN_ENDING.search(plain):
        plain = _SILENT_E.sub("", plain)
    return max(len(_VOWELS.findall(plain)), 1)
