"""textstats: its counts, its languages, and that no text makes it fail."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.worker import Task, TaskFailed
from app.worker.extraction.text.markdown import text_of_markdown
from app.worker.textstats.analysis import analyse
from app.worker.textstats.handler import last_user_message, textstats
from app.worker.textstats.words import sentence_count, syllable_count, words

SAMPLES = Path(__file__).parents[2] / "samples"
GERMAN = {"beschwerde-lieferung.txt", "klausel-datenschutz.txt", "protokoll-elternabend.md"}
FRENCH = {"compte-rendu-association.md", "reclamation-facture.txt"}
SPANISH = {"acta-comunidad.md", "consulta-garantia.txt"}
OTHER = {"avviso-condominio.txt"}
ENGLISH_TEXT = "The cat sat on the mat. It was not at all happy about that, and it told us so."


def task(payload: dict) -> Task:
    return Task("1", 1, 1, "ANALYZE", 1, payload)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't over-think it, O’Brien!", ["Don't", "over-think", "it", "O’Brien"]),
        ("3.5 kg at 20:15 in room B12", ["kg", "at", "in", "room", "B"]),
        ("snake_case - and 'quotes'", ["snake", "case", "and", "quotes"]),
        ("Grüße, Yıldız; cafe\u0301!", ["Grüße", "Yıldız", "cafe\u0301"]),
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("Привет, мир", ["Привет", "мир"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("今天好。", ["今", "天", "好"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("", []),
        ("12 -- 34 ...", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", 3),
        ("It costs 3.5 euros at example.org today", 1),
        ("He said: “Stop.” Then he left.", 2),
        ("A heading\n\nA paragraph", 2),
        ("Wait ... what?!", 2),
        ("我喜欢。今天好！", 2),
        ("यह एक है। वह दो है।", 2),
        ("no end", 1),
        ("... !!!", 0),
        ("", 0),
    ],
)
def test_sentences(text: str, expected: int) -> None:
    assert sentence_count(text) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [("the", 1), ("house", 1), ("houses", 2), ("walked", 1), ("created", 2), ("table", 2), ("idea", 2), ("rhythm", 1)],
)
def test_syllables_of_english(word: str, expected: int) -> None:
    assert syllable_count(word, "en") == expected


def test_a_final_e_is_spoken_in_german() -> None:
    assert (syllable_count("Hilfe", "de"), syllable_count("Straße", "de")) == (2, 2)


@pytest.mark.parametrize("path", sorted(SAMPLES.iterdir()), ids=lambda path: path.name)
def test_the_language_of_each_sample_is_found(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    text = text_of_markdown(text)[0] if path.suffix == ".md" else text
    found = analyse(text).details
    known = {"de": GERMAN, "fr": FRENCH, "es": SPANISH, None: OTHER}
    assert found["language"] == next((code for code, names in known.items() if path.name in names), "en")
    assert (found["reading_ease"] is None) == (path.name in OTHER)
    assert found["words"] > 0
    assert found["sentences"] > 0


@pytest.mark.parametrize(
    "text",
    [
        "O cão está na casa e nós não o vimos, mas ele estava lá com os outros e uma ave.",
        "De hond is in het huis en wij hebben hem niet gezien, maar hij was er van de week.",
        "Hunden er i huset, og vi har ikke set den, men den var der i går med de andre.",
        "Il cane è in casa e non lo abbiamo visto, ma era lì per la notte con gli altri.",
        "Too short to tell",
    ],
)
def test_nothing_is_claimed_of_another_language(text: str) -> None:
    found = analyse(text).details
    assert found["language"] is None
    assert found["reading_ease"] is None
    assert "not known" in found["terms_method"]


def test_the_reading_ease_is_the_stated_formula() -> None:
    ease = analyse(ENGLISH_TEXT).details["reading_ease"]
    asl, asw = 19 / 2, 21 / 19  # happy and about have two syllables
    assert ease["score"] == round(206.835 - 1.015 * asl - 84.6 * asw, 1)
    assert (ease["words_per_sentence"], ease["syllables_per_word"]) == (9.5, round(asw, 2))
    assert ease["band"] == "very easy"
    assert "Flesch" in ease["source"]


def test_telling_terms_are_frequent_and_no_stop_words() -> None:
    terms = analyse("The bees and the hive. The hive is for the bees, and BEES like it. A queen was in it.").details[
        "terms"
    ]
    assert terms == [{"term": "bees", "count": 3}, {"term": "hive", "count": 2}, {"term": "queen", "count": 1}]


@given(st.text())
def test_any_text_is_analysed_and_can_be_sent(text: str) -> None:
    result = textstats(task({"messages": [{"role": "user", "content": text}]}))
    orjson.dumps(result)
    assert result["usage"]["input_tokens"] == len(words(text)) == result["json"]["words"]
    assert result["text"].endswith(".")


def test_a_long_text_without_an_end_is_analysed_in_time() -> None:
    assert analyse("a" * 2_000_000).details["words"] == 1
    assert analyse("a-" * 500_000).details["words"] == 1
    assert analyse("\n \n" * 300_000).details["sentences"] == 0


def test_the_last_user_message_is_analysed() -> None:
    messages = [
        {"role": "system", "content": "no"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "no"},
        {"role": "user", "content": [{"type": "text", "text": "last"}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": "no"},
    ]
    assert last_user_message({"messages": messages}) == "last"
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": messages}}
    assert last_user_message(line) == "last"


@pytest.mark.parametrize("payload", [{}, {"messages": []}, {"messages": "x"}, {"body": {}}, {"messages": [None, 3]}])
def test_without_a_user_message_the_task_fails_for_good(payload: dict) -> None:
    with pytest.raises(TaskFailed) as caught:
        textstats(task(payload))
    assert (caught.value.code, caught.value.retryable) == ("bad_payload", False)
