"""Analyses a text: counts, and a sentence that sums them up, with the method beside every number."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from app.worker.textstats.languages import ENGLISH, Language, language_of
from app.worker.textstats.words import sentence_count, syllable_count, unspaced_share, words

MAX_TERMS = 5
SHORTEST_TERM = 3  # letters, if the stop words of the language are known
SHORTEST_UNKNOWN_TERM = 5  # if they are not: most function words are shorter
# Flesch's bands for his own scale (The Art of Readable Writing, 1949). Other scales have other bands.
BANDS = (
    (90, "very easy"), (80, "easy"), (70, "fairly easy"), (60, "standard"), (50, "fairly difficult"),
    (30, "difficult"),
)  # fmt: skip
HARDEST = "very difficult"


@dataclass(frozen=True)
class Analysis:
    """`sentence` is for people, `details` for programs. `word_count` is the usage of the text."""

    sentence: str
    details: dict[str, Any]
    word_count: int


def analyse(text: str) -> Analysis:
    """Count words and sentences, estimate the reading ease, find the most frequent terms."""
    found = words(text)
    lowered = [word.lower().replace("’", "'") for word in found]
    unspaced = unspaced_share(found) > 0.5
    language = None if unspaced else language_of(lowered)
    sentences = sentence_count(text)
    details = {
        "words": len(found),
        "words_method": "characters: the script has no spaces" if unspaced else "runs of letters",
        "sentences": sentences,
        "characters": len(text),
        "language": language.code if language else None,
        "language_method": "share of stop words of en, de, fr, es",
        "reading_ease": reading_ease(lowered, sentences, language),
        "terms": [] if unspaced else frequent_terms(found, lowered, language),
        "terms_method": _terms_method(language, unspaced),
    }
    return Analysis(sentence_of(details, language), details, len(found))


def reading_ease(lowered: list[str], sentences: int, language: Language | None) -> dict[str, Any] | None:
    """Estimate the reading ease; None without a known language or without words."""
    if language is None or not lowered or not sentences:
        return None
    base, per_word, per_syllable = language.formula
    sentence_length = len(lowered) / sentences
    word_length = sum(syllable_count(word, language.code) for word in lowered) / len(lowered)
    score = round(base - per_word * sentence_length - per_syllable * word_length, 1)
    return {
        "score": score,
        "band": band_of(score) if language is ENGLISH else None,
        "formula": f"{base} - {per_word} * words per sentence - {per_syllable} * syllables per word",
        "source": language.source,
        "words_per_sentence": round(sentence_length, 2),
        "syllables_per_word": round(word_length, 2),
        "syllables_method": "groups of vowels",
    }


def band_of(score: float) -> str:
    return next((band for least, band in BANDS if score >= least), HARDEST)


def frequent_terms(found: list[str], lowered: list[str], language: Language | None) -> list[dict[str, Any]]:
    """List the most frequent words that are not stop words, each in its most common spelling."""
    stop_words = language.stop_words if language else frozenset()
    shortest = SHORTEST_TERM if language else SHORTEST_UNKNOWN_TERM
    counts = Counter(word for word in lowered if len(word) >= shortest and word not in stop_words)
    top = counts.most_common(MAX_TERMS)
    spellings: dict[str, Counter[str]] = {word: Counter() for word, _ in top}
    for spelling, word in zip(found, lowered, strict=True):
        if word in spellings:
            spellings[word][spelling] += 1
    return [{"term": spellings[word].most_common(1)[0][0], "count": count} for word, count in top]


def _terms_method(language: Language | None, unspaced: bool) -> str:
    if unspaced:
        return "none: the script has no spaces, and there is no dictionary here"
    if language:
        return f"frequency of words of {SHORTEST_TERM} letters or more without {language.name} stop words"
    return f"frequency of words of {SHORTEST_UNKNOWN_TERM} letters or more; the language is not known here"


def sentence_of(details: dict[str, Any], language: Language | None) -> str:
    """Write the counts as one sentence."""
    if not details["words"]:
        return "The text holds no words."
    kind = f"{language.name} text" if language else "Text"
    parts = [f"{kind} of {_number(details['words'], 'word')} in {_number(details['sentences'], 'sentence')}"]
    if ease := details["reading_ease"]:
        author = ease["source"].partition(",")[0]
        parts.append(f"reading ease {ease['score']} ({ease['band'] or 'by ' + author})")
    if terms := details["terms"]:
        parts.append(f"most telling: {', '.join(term['term'] for term in terms)}")
    return "; ".join(parts) + "."


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
