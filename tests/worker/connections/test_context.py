"""A request that does not fit into its model's context is not sent; the estimate, beside what real tokenizers count."""

import base64
import io
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from PIL import Image

from app.domain.estimates import PAGE_TOKENS as OF_A_PAGE
from app.worker import Task, TaskFailed
from app.worker.connections.context.picture_tokens import PAGE_TOKENS, tokens_of_picture
from app.worker.connections.context.token_estimate import beginning, tokens_of_input, tokens_of_text
from tests.worker.connections.conftest import Connect, asking, line
from tests.worker.connections.model_server import MisbehavingServer
from tests.worker.extraction.test_encodings import TEXTS

SAMPLES = Path(__file__).parents[3] / "samples"
# What tiktoken counts with cl100k_base and o200k_base; it loads these from the network, so the counts are kept here.
SENTENCES = {
    "fr": (43, 32), "da": (50, 40), "sv": (48, 43), "no": (46, 39), "fi": (55, 43), "de": (40, 32), "es": (31, 27),
    "pt": (32, 25), "it": (37, 33), "nl": (47, 28), "is": (53, 38), "pl": (48, 42), "cs": (66, 51), "sk": (57, 44),
    "hu": (63, 52), "ro": (50, 42), "hr": (51, 44), "tr": (58, 41), "lt": (65, 49), "lv": (58, 47), "ru": (41, 22),
    "uk": (66, 41), "bg": (53, 31), "el": (88, 39), "he": (71, 27), "ar": (59, 26), "th": (71, 32), "ja": (42, 33),
    "zh": (32, 24), "zh-t": (40, 30), "ko": (47, 28),
}  # fmt: skip
PAGES = {
    "acta-comunidad.md": 329, "beschwerde-lieferung.txt": 242, "compte-rendu-association.md": 366,
    "contract-termination-clause.md": 292, "interview-beekeeper.txt": 895, "minutes-warehouse-move.md": 682,
    "procedure-descaling.md": 376, "protokoll-elternabend.md": 442, "release-notes-4.2.md": 377,
    "support-router-drops.txt": 395,
}  # fmt: skip


def test_the_error_of_the_estimate_is_as_stated() -> None:
    pages = [tokens_of_text((SAMPLES / name).read_text("utf-8")) / count for name, count in PAGES.items()]
    assert min(pages) >= 0.85
    assert max(pages) <= 1.2
    assert 0.9 < median(pages) < 1.1
    estimates = {language: tokens_of_text(TEXTS[language][0]) for language in SENTENCES}
    first = [estimates[language] / counts[0] for language, counts in SENTENCES.items()]
    second = [estimates[language] / counts[1] for language, counts in SENTENCES.items()]
    assert min(first) >= 0.55
    assert max(first) <= 1.2
    assert min(second) >= 0.85
    assert max(second) <= 1.7


def picture(width: int, height: int, form: str = "JPEG", **options: Any) -> dict[str, Any]:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (250, 250, 250)).save(file, form, **options)
    data = base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/{form.lower()};base64,{data}"}}


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        ((1024, 1024), 765),  # the examples of OpenAI's guide
        ((2048, 4096), 1105),
        ((1240, 1754), PAGE_TOKENS),  # A4 at 150 dots an inch
        ((512, 512), 255),
        ((513, 512), 425),
        ((8000, 100), 85 + 4 * 170),
        ((1, 1), 255),
    ],
)
def test_a_picture_has_the_tokens_of_its_tiles(size: tuple[int, int], tokens: int) -> None:
    for form, options in (("JPEG", {}), ("JPEG", {"progressive": True, "comment": b"x" * 20_000}), ("PNG", {})):
        assert tokens_of_picture(picture(*size, form, **options)) == tokens
    part = picture(*size)
    of_responses = {"type": "input_image", "image_url": part["image_url"]["url"]}
    assert tokens_of_picture(of_responses) == tokens
    assert tokens_of_picture({**of_responses, "detail": "low"}) == 85
    assert tokens_of_picture({**part, "image_url": {**part["image_url"], "detail": "low"}}) == 85


@pytest.mark.parametrize(
    "url",
    [
        "https://pictures.example/a.jpg", "", "data:image/png;base64,x", "data:image/jpeg;base64,/9j/4AAQ",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAAAAAAA", "data:image/jpeg;base64,/9j/////", None, 7,
    ],
)  # fmt: skip
def test_a_picture_of_unknown_size_counts_as_a_page(url: Any) -> None:
    assert tokens_of_picture({"type": "image_url", "image_url": {"url": url}}) == PAGE_TOKENS == OF_A_PAGE
    assert tokens_of_picture({"type": "image_url", "image_url": url}) == PAGE_TOKENS


def test_texts_and_pictures_are_estimated() -> None:
    parts = [{"type": "text", "text": "hello"}, picture(1240, 1754)]
    assert tokens_of_input([{"role": "user", "content": parts}]) == tokens_of_text("hello") + PAGE_TOKENS + 4
    of_responses = [{"type": "input_text", "text": "hello"}, {"type": "input_image", "image_url": "https://x"}]
    assert tokens_of_input([{"role": "user", "content": of_responses}]) == tokens_of_text("hello") + PAGE_TOKENS + 4
    assert tokens_of_input(["hello", "hello"]) == 2 * tokens_of_text("hello")
    assert tokens_of_input(None) == tokens_of_input([]) == 0


def test_pictures_that_are_too_many_are_not_sent(connect: Connect, model_server: MisbehavingServer) -> None:
    handler = connect(models={"m": {"input": 1.0, "context_tokens": 3_000}})
    pages = [picture(1240, 1754)] * 3
    messages = [{"role": "user", "content": [{"type": "text", "text": "See."}, *pages]}]
    failure = failure_of(handler, asking("", messages=messages))
    assert failure.code == "context_exceeded"
    assert "has about 3,321 tokens" in failure.message
    assert model_server.calls == []
    messages[0]["content"] = pages[:2]
    assert handler(asking("", messages=messages))["text"] == "Four."


def failure_of(handler: object, task: object) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        handler(task)  # type: ignore[operator]
    return caught.value


def test_a_request_that_is_too_long_is_not_sent(connect: Connect, model_server: MisbehavingServer) -> None:
    models = {"m": {"input": 1.0, "context_tokens": 100}, "*": {"input": 1.0}}
    handler = connect(models=models)
    failure = failure_of(handler, asking("word " * 200))
    assert (failure.code, failure.retryable, failure.usage) == ("context_exceeded", False, None)
    assert failure.message.startswith("The request has about 220 tokens; lab/m takes 100")
    failure = failure_of(handler, asking("word " * 50, params={"max_tokens": 60}))
    assert "and up to 60 of the answer" in failure.message
    assert failure_of(handler, line({"model": "m", "messages": [{"role": "user", "content": "word " * 200}]})).code
    assert model_server.calls == []
    handler(asking("word " * 50))
    handler(asking("word " * 200, model="other"))
    assert len(model_server.calls) == 2


@pytest.mark.parametrize(
    "text", ["word " * 20_000, "価格は二百五十ユーロです。" * 3_000, "a" * 50_000, "word " * 5_000 + "値" * 9_000]
)
def test_a_beginning_has_as_many_tokens_as_were_asked_for(text: str) -> None:
    for most in (1, 50, 3_000, 6_000):
        found = beginning(text, most)
        assert text.startswith(found)
        assert most * 0.85 - 60 <= tokens_of_text(found) <= most + 2
    assert beginning(text, 10**6) == text
    assert beginning(text, 0) == beginning(text, -5) == ""


def of_long_document(before: str, document: str, after: str = "", **payload: Any) -> Task:
    """A task of a batch that cuts documents. The document is in the prompt twice."""
    content, second = before + document + after, len(before + document + after)
    places = [
        {"message": 0, "start": len(before), "end": len(before + document)},
        {"message": 0, "start": second, "end": second + len(document)},
    ]
    return asking(content + document + after, document_at=places, **payload)


def test_a_document_that_is_too_long_is_cut(connect: Connect, model_server: MisbehavingServer) -> None:
    document = "".join(f"Paragraph {number} of the contract.\n" for number in range(500))
    handler = connect(models={"m": {"input": 1.0, "context_tokens": 2_000}})
    result = handler(of_long_document("Begin. ", document, " End."))
    (sent,) = (body["messages"][0]["content"] for _, _, body in model_server.calls)
    cut = result["document_cut"]
    assert cut["characters"] == len(document)
    beginning_of_it = document[: cut["sent"]]
    assert sent == f"Begin. {beginning_of_it} End.{beginning_of_it} End."
    assert beginning_of_it.endswith((".", "contract", "the", "of")) or beginning_of_it[-1].isdigit()
    assert 1_000 < tokens_of_text(sent) < 1_500 * 0.85 + 20
    assert result["text"] == "Four."


def test_a_limit_of_the_answer_leaves_more_or_less_room(connect: Connect, model_server: MisbehavingServer) -> None:
    handler = connect(models={"m": {"input": 1.0, "context_tokens": 2_000}})
    sent = [
        handler(of_long_document("", "word " * 3_000, params={"max_tokens": limit}))["document_cut"]["sent"]
        for limit in (10, 1_000)
    ]
    assert sent[0] > 1.5 * sent[1]


def test_a_document_that_fits_is_sent_whole(connect: Connect) -> None:
    handler = connect(models={"m": {"input": 1.0, "context_tokens": 2_000}})
    assert "document_cut" not in handler(of_long_document("Begin. ", "word " * 100))


def test_a_prompt_without_room_for_a_document_is_not_sent(connect: Connect, model_server: MisbehavingServer) -> None:
    handler = connect(models={"m": {"input": 1.0, "context_tokens": 100}})
    assert failure_of(handler, of_long_document("word " * 200, "text " * 9)).code == "context_exceeded"
    assert model_server.calls == []


def test_a_part_that_is_too_long_says_what_to_do(connect: Connect, model_server: MisbehavingServer) -> None:
    handler = connect(models={"m": {"input": 1.0, "context_tokens": 100}})
    failure = failure_of(handler, asking("word " * 200, document={"name": "a.txt", "part": 2, "parts": 3}))
    assert failure.code == "context_exceeded"
    assert failure.message.endswith("Choose smaller parts (part_characters of the batch) or another model.")
    assert model_server.calls == []
