"""The preview of a new batch: the tasks it would make and the messages it would send, from a form half filled in."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from app.domain import estimates
from app.domain import prompts as templates
from app.domain.connection.abilities import Abilities
from app.domain.documents import OnTooLong, PromptInput
from app.domain.estimates import Template, Texts
from app.domain.ids import plain_number
from app.domain.money import rounded_up
from app.ui.new_batch import form as form_rules
from app.ui.new_batch.form import Form

NONE = Texts()
MOST_SHOWN = 4_000  # characters of a message
ROOM = 2.0  # times the estimate is the limit that is filled in
BIGGEST_COUNT = 10**9  # the page counts its files and their characters itself


def preview(
    form: Form,
    known: Sequence[dict[str, Any]],
    workers: Collection[Abilities],
    copied: int = 0,
    copied_texts: Texts = NONE,
) -> dict[str, Any]:
    """Describe what the form would make.

    `known` are the models that earlier batches used, `workers` what the known workers can do, and `copied` the number
    of documents that are copied from another batch, with their texts.
    """
    ignored: dict[str, str] = {}  # errors are shown when the form is sent
    documents = form_rules.documents(form, ignored)
    prompts = form_rules.prompts(form, ignored)
    models = form_rules.models(form, ignored)
    pasted = [each for each in documents if "text" in each]
    folders = len(documents) - len(pasted)
    files, readable, characters = (_count(form, f"files_{name}") for name in ("count", "texts", "characters"))
    if documents:  # they take the place of those that would be copied
        copied, copied_texts = 0, NONE
    # Bytes, as for the documents of a batch: an estimate that is made of the form is made of the batch again.
    own = sum(len(each["text"].encode()) for each in pasted)
    texts = Texts(len(pasted) + readable + copied_texts.count, own + characters + copied_texts.characters)
    options = form_rules.options(form, ignored)
    if options["on_too_long"] == OnTooLong.SPLIT:
        texts = Texts(texts.count, texts.characters).split(options["part_characters"], options["overlap_characters"])
    counted = len(pasted) + files + copied
    sent = [Template(each["text"], each["system"], each["input"]) for each in prompts]
    of_text = sum(each.input == PromptInput.TEXT for each in sent)
    has_texts = not sent or of_text > 0
    pictures = estimates.picture_tokens(counted, sent, len(models))
    cost = _cost(models, known, estimates.all_tokens(texts, counted, sent, len(models)))
    limit = options["max_cost"]
    return {
        "documents": counted,
        "folders": folders,
        "unsized": files - readable + copied - copied_texts.count if has_texts else 0,
        "prompts": len(prompts),
        "models": len(models),
        "parts": texts.parts,
        "tasks": (counted * len(prompts) + texts.parts * of_text) * len(models),
        "input_tokens": estimates.text_tokens(texts, sent, len(models)) + pictures,
        "page_tokens": estimates.PAGE_TOKENS if pictures else None,
        "characters_a_token": estimates.CHARACTERS_A_TOKEN,
        **cost,
        "suggested_limit": rounded_up(ROOM * (cost["cost"] or 0.0)),
        "warnings": [
            *(warning for each in prompts for warning in _warnings(each)),
            *_warnings_of_models(models, workers),
            *_warnings_of_cost(cost["cost"], limit),
        ],
        **_messages(form, pasted, prompts),
    }


def _count(form: Form, name: str) -> int:
    return min(plain_number(form.get(name, "")) or 0, BIGGEST_COUNT)


def _cost(models: Sequence[dict[str, Any]], known: Sequence[dict[str, Any]], tokens: float) -> dict[str, Any]:
    """Estimate the cost from what a token cost with each model so far; None if one of them has no known cost."""
    prices = {(each["connection"], each["model"]): each for each in known if each["cost_a_token"] is not None}
    priced = [prices[key] for each in models if (key := (each["connection"], each["model"])) in prices]
    if not models or not tokens or len(priced) < len(models):
        return {"cost": None, "cost_range": None}
    of_model = tokens / len(models)
    low, high = (sum(each["cost_a_token_range"][end] for each in priced) * of_model for end in (0, 1))
    return {"cost": sum(each["cost_a_token"] for each in priced) * of_model, "cost_range": [low, high]}


def _warnings(prompt: dict[str, Any]) -> Iterator[str]:
    """Warn of what a prompt says and probably does not mean."""
    where = prompt["name"] or "A prompt"
    follows = prompt["input"] == PromptInput.TEXT and prompt["text"].strip()
    if follows and "document" not in templates.placeholders(prompt["text"], prompt["system"]):
        yield f"{where} has no {{document}}: the text of the document follows the prompt."
    for unknown in templates.unknown_words(prompt["text"], prompt["system"]):
        likely = f" Is {{{unknown.meant}}} meant?" if unknown.meant else ""
        yield f"{where}: {{{unknown.word}}} is no placeholder and goes to the model as it is.{likely}"


def _warnings_of_models(models: Sequence[dict[str, Any]], workers: Collection[Abilities]) -> Iterator[str]:
    """Warn of models that no worker of the last days calls; without any worker there is nothing to compare with."""
    for each in models if workers else ():
        if not any(worker.reaches(each["connection"], each["model"]) for worker in workers):
            yield f"No known worker calls {each['connection']}/{each['model']}: its tasks would wait."


def _warnings_of_cost(cost: float | None, limit: float | None) -> Iterator[str]:
    if cost is not None and limit is not None and cost > limit:
        yield f"The estimate is above max_cost ({limit:g}): the run would be paused there."


def _messages(form: Form, pasted: Sequence[dict[str, Any]], prompts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Render every prompt on the first document: the first picked file, or else the pasted text."""
    name, text = form.get("sample_name", ""), form.get("sample_text", "")
    if not name and pasted:
        name, text = pasted[0]["name"], pasted[0]["text"]
    unread = bool(name) and not text
    shown = text or "[the document's text]"
    rendered = [
        {
            "name": each["name"] or f"prompt {number}",
            "messages": [
                {"role": message["role"], "content": _cut(message["content"])}
                for message in _rendered(each, shown, name or "[its name]")
            ],
        }
        for number, each in enumerate(prompts, 1)
    ]
    return {"sample_name": name, "sample_unread": unread, "rendered": rendered}


def _rendered(prompt: dict[str, Any], text: str, name: str) -> list[dict[str, str]]:
    try:
        if prompt["input"] == PromptInput.TEXT:
            return templates.messages(prompt["text"], text, name, None, prompt["system"])
        *before, last = templates.messages(prompt["text"], "", name, None, prompt["system"])
        return [*before, {**last, "content": f"{last['content']}\n\n[pictures of the document's pages]".lstrip()}]
    except templates.PromptTooLarge as error:
        return [{"role": "too large", "content": str(error)}]


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]} ... ({len(text) - MOST_SHOWN:,} characters more)"
